/** The page for people who are not signed in: one click as a guest, or an account. */
import { type FormEvent, useState } from "react";
import { useApp } from "../../app/context.ts";
import { BASE } from "../../shared/api/base.ts";
import { failureOf } from "../../shared/api/client.ts";
import { Mark } from "../../shared/ui/icons.tsx";
import * as texts from "../../texts.ts";
import { problem } from "../conversation/messages.ts";
import { AccountForm } from "./account-form.tsx";

type Way = "guest" | "sign-in" | "sign-up";

export function Welcome({ wasHere }: { wasHere: boolean }) {
  const app = useApp();
  const [way, setWay] = useState<Way>("guest");
  const [isBusy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState("");

  const enter = async (event?: FormEvent) => {
    event?.preventDefault();
    if (isBusy) return;
    setBusy(true);
    setComplaint("");
    try {
      await app.signInAsGuest();
    } catch (error) {
      setComplaint(problem(failureOf(error)));
      setBusy(false);
    }
  };

  return (
    <main className="welcome" id="main" tabIndex={-1}>
      <title>{texts.welcomeDocumentTitle}</title>
      <div className="welcome-card">
        {wasHere && <p role="status">{texts.signedOut}</p>}
        <p className="welcome-name">
          <Mark size={40} />
          {texts.product}
        </p>
        <h1>{texts.welcomeTitle}</h1>
        <p className="muted">{texts.welcomeAbout}</p>
        {way === "guest" ? (
          <form onSubmit={enter}>
            <button type="submit" className="button primary large" aria-disabled={isBusy}>
              {texts.continueAsGuest}
            </button>
            {complaint && (
              <p className="complaint" role="alert">
                {complaint}
              </p>
            )}
            <p className="muted small">{texts.welcomeGuests}</p>
          </form>
        ) : (
          <AccountForm kind={way} />
        )}
        <p className="welcome-ways">
          {way !== "guest" && (
            <button
              type="button"
              className="link"
              aria-disabled={isBusy}
              onClick={() => {
                setWay("guest");
                void enter();
              }}
            >
              {texts.continueAsGuest}
            </button>
          )}
          {way !== "sign-in" && (
            <button type="button" className="link" onClick={() => setWay("sign-in")}>
              {texts.signIn}
            </button>
          )}
          {way !== "sign-up" && (
            <button type="button" className="link" onClick={() => setWay("sign-up")}>
              {texts.createAccount}
            </button>
          )}
        </p>
        <p className="welcome-foot muted small">
          {texts.developersAbout} <a href={`${BASE}/graphql`}>{texts.developersOpenPlayground}</a>
        </p>
      </div>
    </main>
  );
}
