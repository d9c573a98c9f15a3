/** One utterance within a turn: the person's as plain text, the agent's as formatted text. */
import { memo } from "react";

import type { Utterance } from "../conversation/transcript.ts";
import * as texts from "../texts.ts";
import { Answer } from "./answer.tsx";

interface Props {
  utterance: Utterance;
  /** Whether more of it may come. */
  isSpoken: boolean;
}

export const Line = memo(function Line({ utterance, isSpoken }: Props) {
  const { role, text, isFinal, isInterrupted } = utterance;
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
      )}{" "}
      {isInterrupted && <span className="line-note">{texts.transcriptInterrupted}</span>}
      {isSpoken && <span className="unseen">{texts.transcriptStillSpeaking}</span>}
      {!isFinal && !isSpoken && <span className="line-note">{texts.transcriptUnfinished}</span>}
    </li>
  );
});
