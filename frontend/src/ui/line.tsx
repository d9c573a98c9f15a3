/** One utterance: the person's as plain text in a soft bubble, the agent's as formatted text. */
import { memo } from "react";

import type { Utterance } from "../conversation/transcript.ts";
import * as texts from "../texts.ts";
import { Answer } from "./answer.tsx";
import { Copying } from "./copying.tsx";
import { clock, moment } from "./time.ts";

interface Props {
  utterance: Utterance;
  /** Whether more of it may come. */
  isSpoken: boolean;
}

const words = (button: Element) => button.closest(".line")?.querySelector(".line-text") ?? null;

export const Line = memo(function Line({ utterance, isSpoken }: Props) {
  const { role, text, isFinal, isInterrupted, startedAt } = utterance;
  const who = role === "USER" ? texts.transcriptYou : texts.transcriptAgent;
  return (
    <li
      className="line"
      data-role={role}
      data-final={isFinal}
      data-grows={isSpoken}
      data-key={utterance.key}
    >
      <span className="unseen">{texts.transcriptSaidBy(who)}</span>
      {role === "USER" ? (
        <p className="line-text">{text}</p>
      ) : (
        <Answer text={text} isWhole={isFinal && !isInterrupted} />
      )}
      <p className="line-foot">
        <time dateTime={startedAt} title={moment(startedAt)}>
          {clock(startedAt)}
        </time>
        {isInterrupted && <span className="line-note">{texts.transcriptInterrupted}</span>}
        {isSpoken && <span className="unseen">{texts.transcriptStillSpeaking}</span>}
        {!isFinal && !isSpoken && <span className="line-note">{texts.transcriptUnfinished}</span>}
        {!isSpoken && <Copying className="copy" text={text} label={texts.copy} at={words} />}
      </p>
    </li>
  );
});
