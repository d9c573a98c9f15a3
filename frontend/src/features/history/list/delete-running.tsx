/** Asks before deleting a running conversation: that ends it and can't be undone. */
import { useState } from "react";
import { useApp } from "../../../app/context.ts";
import { failureOf } from "../../../shared/api/client.ts";
import { Dialog } from "../../../shared/ui/dialog.tsx";
import * as texts from "../../../texts.ts";
import { nameOf, problem } from "../../conversation/messages.ts";
import type { Session } from "../../conversation/state.ts";

interface Props {
  session: Session;
  backTo(): Element | null;
  onClose(): void;
}

export default function DeleteRunning({ session, backTo, onClose }: Props) {
  const app = useApp();
  const [isDeleting, setDeleting] = useState(false);
  const remove = async () => {
    if (isDeleting) return;
    setDeleting(true);
    try {
      await app.deleteNow(session);
    } catch (error) {
      app.toasts.tell(texts.historyNotDeleted(problem(failureOf(error))), {
        label: texts.tryAgain,
        run: () => void remove(),
      });
    }
    onClose();
  };
  return (
    <Dialog title={texts.historyDeleting} onClose={onClose} backTo={backTo}>
      <p>{texts.historyAboutDeleting(nameOf(session), session.utteranceCount)}</p>
      <div className="dialog-ways">
        <button type="button" className="button" data-safe="" onClick={onClose}>
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
