/** Signs out. Asks guests first: nobody can open a guest's conversations afterwards. */
import { useState } from "react";
import { useApp } from "../../../app/context.ts";
import { failureOf } from "../../../shared/api/client.ts";
import { Dialog } from "../../../shared/ui/dialog.tsx";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";

interface Props {
  isGuest: boolean;
  /** Opens the form for a new account. */
  onCreateAccount(): void;
}

export function SignOut({ isGuest, onCreateAccount }: Props) {
  const app = useApp();
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState<string | null>(null);
  const signOut = async () => {
    if (isBusy) return;
    setAsking(false);
    setBusy(true);
    setComplaint(null);
    try {
      await app.signOut();
    } catch (error) {
      setComplaint(texts.accountStillSignedIn(problem(failureOf(error))));
      setBusy(false);
    }
  };
  const createAccount = () => {
    setAsking(false);
    onCreateAccount();
  };
  return (
    <>
      {complaint && (
        <p className="complaint" role="alert">
          {complaint}
        </p>
      )}
      <button
        type="button"
        className="button"
        aria-disabled={isBusy}
        onClick={() => (isGuest ? setAsking(true) : void signOut())}
      >
        {texts.accountSignOut}
      </button>
      {isAsking && (
        <Dialog title={texts.accountGuestSignOutTitle} onClose={() => setAsking(false)}>
          <p>{texts.accountGuestSignOutAbout}</p>
          <div className="dialog-ways">
            <button type="button" className="button danger" onClick={() => void signOut()}>
              {texts.accountGuestSignOut}
            </button>
            <button type="button" className="button primary" data-safe="" onClick={createAccount}>
              {texts.createAccount}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
