/** The line at the top of a page: the way to the history, and what the page is. */
import type { ReactNode } from "react";
import { Link } from "react-router";

import { useConversation } from "../app/context.ts";
import { useShell } from "../app/shell-context.ts";
import { isRunning } from "../conversation/state.ts";
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

/** The way from what was said to what is said now. */
export function BackToTalking() {
  const goesOn = isRunning(useConversation());
  return (
    <Link className="button" to="/">
      <Icon name="microphone" size={18} />
      {goesOn ? "Back to talking" : "Talk"}
    </Link>
  );
}
