/** One utterance of a turn: the person's as plain text, the agent's as formatted text. */
import { memo, useContext } from "react";

import type { Utterance } from "../../features/conversation/transcript.ts";
import * as texts from "../../texts.ts";
import { Answer } from "./answer.tsx";
import { Found } from "./found.ts";
import { Marked } from "./marked.tsx";

interface Props {
  utterance: Utterance;
  /** Whether the line may still grow. */
  isSpoken: boolean;
}

export const Line = memo(function Line({ utterance, isSpoken }: Props) {
  const { id, role, text, isFinal, isInterrupted, language } = utterance;
  const found = useContext(Found);
  const marked = found.marked.get(id);
  const who = role === "USER" ? texts.transcriptYou : texts.transcriptAgent;
  return (
    <li
      className="line"
      data-role={role}
      data-final={isFinal}
      data-grows={isSpoken}
      data-key={utterance.key}
      id={id}
      aria-current={found.current === id || undefined}
    >
      {/* The space after the previous sentence. */}{" "}
      <span className="unseen">{texts.transcriptSaidBy(who)}</span>
      {marked !== undefined ? (
        <p className="line-text" dir="auto" lang={language ?? undefined}>
          <Marked html={marked} text={text} />
        </p>
      ) : role === "USER" ? (
        <p className="line-text" dir="auto" lang={language ?? undefined}>
          {text}
        </p>
      ) : (
        <Answer text={text} language={language} isWhole={isFinal && !isInterrupted} />
      )}
      {isInterrupted && <span className="line-note">{texts.transcriptInterrupted}</span>}
      {isSpoken && <span className="unseen">{texts.transcriptStillSpeaking}</span>}
      {!isFinal && !isSpoken && <span className="line-note">{texts.transcriptUnfinished}</span>}
    </li>
  );
});
