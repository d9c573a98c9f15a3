/** For somebody who is not signed in: one click as a guest, or an account. */
import { type FormEvent, useState } from "react";
import { failureOf } from "../api/client.ts";
import { BASE } from "../app/base.ts";
import { useApp } from "../app/context.ts";
import { problem } from "../conversation/words.ts";
import { AccountForm } from "../ui/account-form.tsx";
import { Mark } from "../ui/icons.tsx";

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
      <title>VoxQL: talk with an agent, and every word is kept</title>
      <div className="welcome-card">
        {wasHere && <p role="status">You are signed out.</p>}
        <p className="welcome-name">
          <Mark size={40} />
          VoxQL
        </p>
        <h1>Talk, and every word is kept.</h1>
        <p className="muted">
          VoxQL lets you talk with a voice agent in the browser. Your words appear while you speak,
          the agent answers, and each conversation is there when you look for it.
        </p>
        {way === "guest" ? (
          <form onSubmit={enter}>
            <button type="submit" className="button primary large" aria-disabled={isBusy}>
              Continue as a guest
            </button>
            {complaint && (
              <p className="complaint" role="alert">
                {complaint}
              </p>
            )}
            <p className="muted small">
              No e-mail needed. An account can be made later, and your conversations move along.
            </p>
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
              Continue as a guest
            </button>
          )}
          {way !== "sign-in" && (
            <button type="button" className="link" onClick={() => setWay("sign-in")}>
              Sign in
            </button>
          )}
          {way !== "sign-up" && (
            <button type="button" className="link" onClick={() => setWay("sign-up")}>
              Create an account
            </button>
          )}
        </p>
        <p className="welcome-foot muted small">
          For developers: all of it is one GraphQL API, and this page uses nothing else.{" "}
          <a href={`${BASE}/graphql`}>Try it in the playground.</a>
        </p>
      </div>
    </main>
  );
}
