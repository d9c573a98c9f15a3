/** The line at the top of a page: the way to the history, and what the page is. */
import type { ReactNode } from "react";

import { useShell } from "../app/shell-context.ts";
import { Icon } from "./icons.tsx";

export function Head(props: { title: string; detail?: ReactNode; children?: ReactNode }) {
  const { isSidebarOpen, toggleSidebar } = useShell();
  return (
    <header className="head">
      {!isSidebarOpen && (
        <button
          type="button"
          className="icon-button"
          aria-label="Open the history"
          onClick={toggleSidebar}
        >
          <Icon name="sidebar" />
        </button>
      )}
      <div className="head-title">
        <h1>{props.title}</h1>
        {props.detail && <p className="muted">{props.detail}</p>}
      </div>
      <div className="head-actions">{props.children}</div>
      <title>{`${props.title} · VoxQL`}</title>
    </header>
  );
}
