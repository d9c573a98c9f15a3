/** One conversation in the list: open, rename in place, delete. */
import { useRef, useState } from "react";

import { NavLink } from "../../../app/router.tsx";
import { Marked } from "../../../shared/transcript/marked.tsx";
import { clock, duration } from "../../../shared/ui/time.ts";
import * as texts from "../../../texts.ts";
import { nameOf } from "../../conversation/messages.ts";
import { addressOf } from "../past/address.ts";
import { useDoing } from "./doing.tsx";
import type { Entry } from "./history.ts";
import { More } from "./more.tsx";

interface Props {
  entry: Entry;
  isRunning: boolean;
  /** The search that found it; blank without one. */
  search: string;
}

export function Row({ entry, isRunning, search }: Props) {
  const { session, snippet, line } = entry;
  const [isNear, setNear] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  const goesOn = isRunning || session.status === "ACTIVE" || session.status === "STARTING";
  // A title is the person's first words: a preview adds nothing to it.
  const untitled = session.title === nameOf(session) ? null : session.preview;
  const { field, dialog, ways } = useDoing(session, () => linkOf(row.current));
  return (
    <li
      className="row"
      ref={row}
      onPointerEnter={() => setNear(true)}
      onFocus={() => setNear(true)}
    >
      {field || (
        <NavLink className="row-link" to={addressOf(session.id, search, line)}>
          <span className="row-title" dir="auto">
            {session.title}
          </span>
          {(snippet ?? untitled) !== null && (
            <span className="row-preview" dir="auto">
              {snippet === null ? untitled : <Marked html={snippet} />}
            </span>
          )}
          <span className="row-facts">
            {goesOn ? (
              <span className="row-running">{texts.historyNow}</span>
            ) : (
              clock(session.createdAt)
            )}
            {session.durationMs != null && ` · ${duration(session.durationMs)}`}
            {` · ${texts.lines(session.utteranceCount)}`}
          </span>
        </NavLink>
      )}
      <More
        label={texts.historyOptions(nameOf(session))}
        className="row-more"
        isNear={isNear}
        ways={ways}
      />
      {dialog}
    </li>
  );
}

/** Where the focus goes: this row's link, else the first row's, else the search field. */
function linkOf(row: Element | null): Element | null {
  const own = row?.querySelector(".row-link");
  if (row?.isConnected && own) return own;
  return document.querySelector(".row-link") ?? document.getElementById("search");
}
