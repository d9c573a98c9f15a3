/** A typed line that is waiting, is being sent, or could not be sent. */
import { useRef } from "react";

import { useApp, useConversationPart } from "../../app/context.ts";
import { waiting } from "../../features/conversation/messages.ts";
import { canType } from "../../features/conversation/state.ts";
import { isWaiting, type Pending } from "../../features/conversation/transcript.ts";
import * as texts from "../../texts.ts";
import { useFocusHandedOn } from "../ui/focus.ts";

interface Props {
  line: Pending;
  onAgain(key: string): void;
}

export function PendingLine({ line, onAgain }: Props) {
  const why = useConversationPart(waiting);
  const isHeldUp = line.problem !== null || why !== texts.transcriptSending;
  return (
    <li
      className="line"
      data-role="USER"
      data-final="false"
      data-grows={line.isSending}
      data-pending=""
      data-key={line.key}
    >
      <span className="unseen">{texts.transcriptSaidBy(texts.transcriptYou)}</span>
      <p className="line-text" dir="auto">
        {line.text}
      </p>
      <p className="line-foot">
        {line.problem === null ? (
          <span role="status">{isWaiting(line) ? why : texts.transcriptSending}</span>
        ) : (
          <Refused line={line} onAgain={onAgain} />
        )}
        {!line.isTried && isHeldUp && <TakingBack line={line} />}
      </p>
    </li>
  );
}

function Refused({ line, onAgain }: Props) {
  const ref = useRef<HTMLSpanElement>(null);
  useFocusHandedOn(ref);
  return (
    <span role="alert" ref={ref}>
      {line.problem}{" "}
      <button type="button" className="link" onClick={() => onAgain(line.key)}>
        {texts.transcriptSendAgain}
      </button>
    </span>
  );
}

/** What can be done with a line that was never sent. */
function TakingBack({ line }: { line: Pending }) {
  const ref = useRef<HTMLSpanElement>(null);
  useFocusHandedOn(ref);
  const app = useApp();
  const hasField = useConversationPart(canType);
  return (
    <span className="line-ways" ref={ref}>
      {hasField && (
        <button type="button" className="link" onClick={() => app.takeBack(line, true)}>
          {texts.transcriptEdit}
        </button>
      )}
      <button type="button" className="link" onClick={() => app.takeBack(line, false)}>
        {texts.transcriptTakeBack}
      </button>
    </span>
  );
}
