/** The buttons New chat, which saves the current conversation first, and End. */
import { useApp, useConversationPart } from "../../../app/context.ts";
import { newKey } from "../../../app/keys.ts";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";
import { isBusy, isSaving } from "../state.ts";

export function NewChat({ isLanding = false }: { isLanding?: boolean }) {
  const { driver } = useApp();
  const isWaiting = useConversationPart(isBusy);
  const isKept = useConversationPart(isSaving);
  const text = isKept ? texts.saving : isWaiting ? texts.starting : texts.dockNewChat;
  return (
    <button
      type="button"
      className="button new-chat"
      // Not `disabled`, which would lose the focus; the state machine ignores clicks.
      aria-disabled={isWaiting}
      aria-busy={isWaiting}
      data-landing={isLanding ? "" : undefined}
      onClick={(event) => {
        // Ignore the second click of a double click: the new chat may start before it.
        if (event.detail <= 1) driver.dispatch({ type: "newChat", key: newKey() });
      }}
    >
      {isWaiting ? <span className="spinner" aria-hidden="true" /> : <Icon name="plus" size={18} />}
      <span className="new-chat-label">{text}</span>
    </button>
  );
}

export function End() {
  const { driver } = useApp();
  const isWaiting = useConversationPart(isBusy);
  return (
    <button
      type="button"
      className="button quiet end"
      aria-label={texts.dockEnd}
      aria-disabled={isWaiting}
      onClick={() => driver.dispatch({ type: "end", key: newKey() })}
    >
      <Icon name="stop" size={18} />
      <span className="end-label">{texts.dockEnd}</span>
    </button>
  );
}
