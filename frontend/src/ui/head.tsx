/** The line at the top of a page: the way to the history, and what the page is. */
import type { ReactNode } from "react";
import { useShell } from "../app/shell-context.ts";
import type { Session } from "../conversation/state.ts";
import * as texts from "../texts.ts";
import { Copying } from "./copying.tsx";
import { Icon } from "./icons.tsx";

export function Head(props: { title: string; detail?: ReactNode; children?: ReactNode }) {
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
        <h1>{props.title}</h1>
        {props.detail && <div className="head-detail muted">{props.detail}</div>}
      </div>
      <div className="head-actions">{props.children}</div>
      <title>{texts.titled(props.title)}</title>
    </header>
  );
}

/** What a conversation is called among programs, small, to be copied. */
export function SessionId({ session }: { session: Session }) {
  return (
    <Copying
      className="session-id"
      text={session.id}
      at={(button) => button.querySelector(".session-id-text")}
      label={texts.conversationCopyId(session.id)}
    >
      <span className="session-id-text">{session.id}</span>
    </Copying>
  );
}
