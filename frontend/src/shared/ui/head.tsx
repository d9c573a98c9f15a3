/** The header of a page: the button for the history, and the page's title. */
import type { ReactNode } from "react";
import { useShell } from "../../app/shell-context.ts";
import * as texts from "../../texts.ts";
import { Icon } from "./icons.tsx";

interface Props {
  title: string;
  /** Shown in place of the title. */
  heading?: ReactNode;
  detail?: ReactNode;
  children?: ReactNode;
}

export function Head(props: Props) {
  const { isSidebarOpen, toggleSidebar } = useShell();
  return (
    <header className="head">
      {!isSidebarOpen && (
        <button
          type="button"
          className="icon-button"
          id="open-history"
          aria-label={texts.shellOpenHistory}
          onClick={toggleSidebar}
        >
          <Icon name="sidebar" />
        </button>
      )}
      <div className="head-title">
        {props.heading ?? <h1>{props.title}</h1>}
        {props.detail && <div className="head-detail muted">{props.detail}</div>}
      </div>
      <div className="head-actions">{props.children}</div>
      <title>{texts.titled(props.title)}</title>
    </header>
  );
}
