/** The history sidebar: search and conversations by day. */
import { type ReactNode, useEffect, useRef } from "react";
import { useApp, useConversationPart, useHistory, useViewer } from "../../../app/context.ts";
import { Link } from "../../../app/router.tsx";
import type { Failure } from "../../../shared/api/failure.ts";
import { useFocusHandedOn } from "../../../shared/ui/focus.ts";
import { Icon, Mark } from "../../../shared/ui/icons.tsx";
import { day } from "../../../shared/ui/time.ts";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";
import { isRunning } from "../../conversation/state.ts";
import type { Entry } from "./history.ts";
import { Row } from "./row.tsx";
import { Search } from "./search.tsx";

interface Props {
  onClose(): void;
  onHelp(): void;
  /** Shown above the search. */
  children: ReactNode;
}

export function Sidebar({ onClose, onHelp, children }: Props) {
  const viewer = useViewer();
  const ref = useRef<HTMLElement>(null);
  useFocusHandedOn(ref);
  return (
    <nav className="sidebar" ref={ref} aria-label={texts.historyTitle}>
      <header className="sidebar-head">
        <Link className="sidebar-name" to="/">
          <Mark />
          {texts.product}
        </Link>
        <button
          type="button"
          className="icon-button"
          id="close-history"
          aria-label={texts.shellCloseHistory}
          onClick={onClose}
        >
          <Icon name="sidebar" />
        </button>
      </header>
      {children}
      <Search />
      <List />
      <footer className="sidebar-foot">
        <Link className="sidebar-who" to="/settings">
          <Icon name="settings" />
          <span>{viewer?.email ?? texts.historyGuest}</span>
        </Link>
        <button
          type="button"
          className="icon-button"
          aria-label={texts.shortcutsTitle}
          onClick={onHelp}
        >
          <Icon name="help" />
        </button>
      </footer>
    </nav>
  );
}

function List() {
  const state = useHistory();
  const running = useConversationPart((now) => (isRunning(now) ? now.session?.id : undefined));
  const isOfThem = state.entries.length > 0 && state.shown === state.search;
  if (state.failure && !isOfThem)
    return <Failed failure={state.failure} isLoading={state.isLoading} above={0} />;
  if (state.entries.length === 0)
    return <Empty isLoading={state.shown !== state.search} search={state.search} />;
  return (
    // A new search starts at its first result.
    <div className="list" key={state.shown}>
      {days(state.entries).map(([name, entries]) => (
        <section key={name} aria-label={name}>
          <h2>{name}</h2>
          <ul>
            {entries.map((entry) => (
              <Row
                key={entry.session.id}
                entry={entry}
                isRunning={entry.session.id === running}
                search={state.shown ?? ""}
              />
            ))}
          </ul>
        </section>
      ))}
      {state.failure ? (
        <Failed failure={state.failure} isLoading={state.isLoading} above={state.entries.length} />
      ) : (
        state.hasMore && <More isLoading={state.isLoading} />
      )}
    </div>
  );
}

interface FailedProps {
  failure: Failure;
  isLoading: boolean;
  /** Number of entries above it. */
  above: number;
}

function Failed({ failure, isLoading, above }: FailedProps) {
  const { history } = useApp();
  const ref = useRef<HTMLDivElement>(null);
  // Moves the focus to what has replaced it.
  useFocusHandedOn(ref, () => {
    const rows = document.querySelectorAll(".row-link");
    return rows[above] ?? rows[0] ?? document.getElementById("search");
  });
  return (
    <div className="list-message" role="alert" ref={ref}>
      <p>{problem(failure)}</p>
      <button
        type="button"
        className="button"
        aria-disabled={isLoading}
        aria-busy={isLoading}
        onClick={() => void history.retry()}
      >
        {texts.tryAgain}
      </button>
    </div>
  );
}

function Empty({ isLoading, search }: { isLoading: boolean; search: string }): ReactNode {
  if (isLoading) {
    return (
      <div className="list-loading" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
    );
  }
  return (
    <div className="list-message muted">
      <p>{search ? texts.historyNoResults(search) : texts.historyEmpty}</p>
    </div>
  );
}

/** Loads the next page when this comes into view, or is still in view after the previous page. */
function More({ isLoading }: { isLoading: boolean }) {
  const { history } = useApp();
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element || isLoading) return;
    const observer = new IntersectionObserver(
      ([entry]) => entry?.isIntersecting && void history.more(),
      { rootMargin: "300px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [history, isLoading]);
  return <div className="list-loading" ref={ref} aria-hidden="true" />;
}

function days(entries: readonly Entry[]): [string, Entry[]][] {
  const now = new Date();
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const name = day(entry.session.createdAt, now);
    const group = groups.get(name);
    if (group) group.push(entry);
    else groups.set(name, [entry]);
  }
  return [...groups];
}
