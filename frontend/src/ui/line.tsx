/** One utterance: the person's in a soft bubble, the agent's as plain text. */
import { memo, useState } from "react";

import type { Pending, Utterance } from "../conversation/transcript.ts";
import { Icon } from "./icons.tsx";
import { clock, full } from "./time.ts";

interface Props {
  utterance: Utterance;
  /** Whether more of it may come, because the conversation still goes on. */
  isLive: boolean;
}

export const Line = memo(function Line({ utterance, isLive }: Props) {
  const { role, text, isFinal, isInterrupted, startedAt } = utterance;
  const who = role === "USER" ? "You" : "Agent";
  return (
    <li className="line" data-role={role} data-final={isFinal} data-key={utterance.key}>
      <span className="unseen">{who}: </span>
      <p className="line-text">{text}</p>
      <p className="line-foot">
        <time dateTime={startedAt} title={full(startedAt)}>
          {clock(startedAt)}
        </time>
        {isInterrupted && <span className="line-note">interrupted</span>}
        {!isFinal && (
          <span className="line-note">
            {isLive ? <span className="unseen">still speaking</span> : "not final"}
          </span>
        )}
        {isFinal && <Copy text={text} />}
      </p>
    </li>
  );
});

function Copy({ text }: { text: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      // Browsers may forbid it; the text can still be selected.
    }
  };
  return (
    <button type="button" className="copy" aria-label={isDone ? "Copied" : "Copy"} onClick={copy}>
      <Icon name={isDone ? "check" : "copy"} size={16} />
    </button>
  );
}

/** A typed line that is on its way, or could not be sent. */
export function PendingLine({ line, onAgain }: { line: Pending; onAgain(key: string): void }) {
  return (
    <li className="line" data-role="USER" data-final="false" data-key={line.key}>
      <span className="unseen">You: </span>
      <p className="line-text">{line.text}</p>
      <p className="line-foot">
        {line.problem === null ? (
          <span>Sending…</span>
        ) : (
          <span role="alert">
            {line.problem}{" "}
            <button type="button" className="link" onClick={() => onAgain(line.key)}>
              Send again
            </button>
          </span>
        )}
      </p>
    </li>
  );
}
