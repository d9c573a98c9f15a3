/** The field for a conversation's title. */
import { type FormEvent, useId, useRef, useState } from "react";
import { useApp } from "../../../app/context.ts";
import { failureOf } from "../../../shared/api/client.ts";
import { useFocusHandedOn } from "../../../shared/ui/focus.ts";
import * as texts from "../../../texts.ts";
import { NEW_CONVERSATION, problem } from "../../conversation/messages.ts";
import type { Session } from "../../conversation/state.ts";

/** The server's limit for a title, in characters. */
export const MOST = 200;

/** Characters as the server counts them. */
export const lengthOf = (title: string): number => [...title].length;

interface Props {
  session: Session;
  /** Where the focus goes afterwards. */
  backTo(): Element | null;
  onDone(): void;
}

/** A stable ref callback: it runs once and does not select text that is being typed. */
function select(input: HTMLInputElement | null): void {
  input?.focus();
  input?.select();
}

export default function Rename({ session, backTo, onDone }: Props) {
  const { history, toasts } = useApp();
  const ref = useRef<HTMLFormElement>(null);
  useFocusHandedOn(ref, backTo);
  const complaint = useId();
  const { id, title } = session;
  const [length, setLength] = useState(0);
  const isLong = length > MOST;
  const save = async (value: string) => {
    // An empty title restores the default one.
    const next = value.trim() || NEW_CONVERSATION;
    if (lengthOf(next) > MOST) return;
    onDone();
    if (next === title) return;
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
      className="rename"
      ref={ref}
      onSubmit={(event: FormEvent<HTMLFormElement>) => {
        event.preventDefault();
        void save(String(new FormData(event.currentTarget).get("title")));
      }}
    >
      <input
        name="title"
        dir="auto"
        autoComplete="off"
        aria-label={texts.historyNewTitle}
        aria-invalid={isLong}
        aria-describedby={isLong ? complaint : undefined}
        placeholder={NEW_CONVERSATION}
        defaultValue={title}
        ref={select}
        onChange={({ target }) => setLength(lengthOf(target.value.trim()))}
        onBlur={(event) => void save(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          onDone();
        }}
      />
      {isLong && (
        <p className="complaint" id={complaint} role="alert">
          {texts.historyTitleTooLong(length, MOST)}
        </p>
      )}
    </form>
  );
}
