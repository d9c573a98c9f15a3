/** One conversation in the list: open, rename in place, delete. */
import { type FormEvent, useRef, useState } from "react";

import { failureOf } from "../api/client.ts";
import { isAt } from "../app/base.ts";
import { useApp } from "../app/context.ts";
import { NavLink } from "../app/router.tsx";
import { isBusy } from "../conversation/state.ts";
import { nameOf, problem } from "../conversation/words.ts";
import * as texts from "../texts.ts";
import { Dialog } from "../ui/dialog.tsx";
import { useFocusHandedOn } from "../ui/focus.ts";
import { clock, duration } from "../ui/time.ts";
import type { Entry } from "./history.ts";
import { More } from "./more.tsx";
import { marked } from "./snippet.ts";

export function Row({ entry, isRunning }: { entry: Entry; isRunning: boolean }) {
  const { session, snippet } = entry;
  const [doing, setDoing] = useState<"nothing" | "rename" | "delete">("nothing");
  const [isNear, setNear] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  const goesOn = isRunning || session.status === "ACTIVE" || session.status === "STARTING";
  return (
    <li
      className="row"
      ref={row}
      onPointerEnter={() => setNear(true)}
      onFocus={() => setNear(true)}
    >
      {doing === "rename" ? (
        <Rename
          entry={entry}
          backTo={() => row.current?.querySelector(".row-link") ?? null}
          onDone={() => setDoing("nothing")}
        />
      ) : (
        <NavLink className="row-link" to={`/c/${session.id}`}>
          <span className="row-title">{session.title}</span>
          <span className="row-preview" data-is-name={nameOf(session) !== session.title}>
            {snippet === null ? session.preview : <Snippet html={snippet} />}
          </span>
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
        title={nameOf(session)}
        isNear={isNear}
        onRename={() => setDoing("rename")}
        onDelete={() => setDoing("delete")}
      />
      {doing === "delete" && (
        <Delete
          entry={entry}
          backTo={() => row.current?.querySelector(".row-more") ?? nextRow(row.current)}
          onClose={() => setDoing("nothing")}
        />
      )}
    </li>
  );
}

/** Where somebody goes on who has deleted this one. */
function nextRow(gone: Element | null): Element | null {
  const rows = [...document.querySelectorAll(".row-link")];
  return rows.find((link) => !gone?.contains(link)) ?? document.getElementById("search");
}

function Snippet({ html }: { html: string }) {
  return marked(html).map((part, index) => (index % 2 ? <mark key={index}>{part}</mark> : part));
}

interface RenameProps {
  entry: Entry;
  backTo(): Element | null;
  onDone(): void;
}

/** Of one identity, so that it runs once: what is being typed must not be selected again. */
function select(input: HTMLInputElement | null): void {
  input?.select();
}

function Rename({ entry, backTo, onDone }: RenameProps) {
  const { history, toasts } = useApp();
  const ref = useRef<HTMLFormElement>(null);
  useFocusHandedOn(ref, backTo);
  const { id, title } = entry.session;
  const save = async (value: string) => {
    onDone();
    const next = value.trim();
    if (next === "" || next === title) return;
    try {
      await history.rename(id, next);
    } catch (error) {
      toasts.tell(texts.historyNotRenamed(problem(failureOf(error))), {
        label: texts.tryAgain,
        run: () => void save(value),
      });
    }
  };
  return (
    <form
      className="row-rename"
      ref={ref}
      onSubmit={(event: FormEvent<HTMLFormElement>) => {
        event.preventDefault();
        void save(String(new FormData(event.currentTarget).get("title")));
      }}
    >
      <input
        name="title"
        aria-label={texts.historyNewTitle}
        defaultValue={title}
        maxLength={200}
        ref={select}
        onBlur={(event) => void save(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          onDone();
        }}
      />
    </form>
  );
}

interface DeleteProps {
  entry: Entry;
  backTo(): Element | null;
  onClose(): void;
}

function Delete({ entry, backTo, onClose }: DeleteProps) {
  const app = useApp();
  const { driver, history, toasts } = app;
  const { session } = entry;
  const [isDeleting, setDeleting] = useState(false);
  const remove = async () => {
    if (isDeleting) return;
    setDeleting(true);
    try {
      await history.remove(session.id);
      app.unsent.drop(session.id);
      // It may not have heard of that yet, and would lead back to where nothing is any more.
      const isHere = driver.state.session?.id === session.id;
      if (isHere && !isBusy(driver.state)) driver.dispatch({ type: "leave" });
      // By now this row is gone, and somebody may be on another page than at the click.
      if (isAt(`/c/${session.id}`)) app.navigate("/");
      toasts.tell(texts.historyDeleted);
    } catch (error) {
      toasts.tell(texts.historyNotDeleted(problem(failureOf(error))), {
        label: texts.tryAgain,
        run: () => void remove(),
      });
      onClose();
    }
  };
  return (
    <Dialog title={texts.historyDeleting} onClose={onClose} backTo={backTo}>
      <p>{texts.historyAboutDeleting(nameOf(session), session.utteranceCount)}</p>
      <div className="dialog-ways">
        <button type="button" className="button" onClick={onClose}>
          {texts.cancel}
        </button>
        <button
          type="button"
          className="button danger"
          aria-disabled={isDeleting}
          onClick={() => void remove()}
        >
          {texts.historyDeleteConversation}
        </button>
      </div>
    </Dialog>
  );
}
