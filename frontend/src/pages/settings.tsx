/** Account, look, microphone, and tokens for programs. */
import { useState } from "react";

import { failureOf } from "../api/client.ts";
import { BASE } from "../app/base.ts";
import { useApp, useViewer } from "../app/context.ts";
import { problem } from "../conversation/words.ts";
import { AccountForm } from "../ui/account-form.tsx";
import { Head } from "../ui/head.tsx";
import { NewChat } from "../ui/new-chat.tsx";
import { Devices } from "./settings/devices.tsx";
import { Theme } from "./settings/theme.tsx";
import { Tokens } from "./settings/tokens.tsx";

export default function Settings() {
  return (
    <>
      <Head title="Settings">
        <NewChat />
      </Head>
      <div className="scroll">
        <div className="column settings">
          <Account />
          <Theme />
          <Devices />
          <Tokens />
          <section>
            <h2>For developers</h2>
            <p>
              <a href={`${BASE}/graphql`}>Open the playground</a> and try every operation of the
              API, with the login of this page.
            </p>
          </section>
        </div>
      </div>
    </>
  );
}

function SignOut() {
  const app = useApp();
  const [isBusy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState<string | null>(null);
  const signOut = async () => {
    if (isBusy) return;
    setBusy(true);
    setComplaint(null);
    try {
      await app.signOut();
    } catch (error) {
      setComplaint(`You are still signed in. ${problem(failureOf(error))}`);
      setBusy(false);
    }
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
        onClick={() => void signOut()}
      >
        Sign out
      </button>
    </>
  );
}

function Account() {
  const viewer = useViewer();
  const [way, setWay] = useState<"sign-up" | "sign-in" | null>(null);
  if (viewer === null) return null;
  return (
    <section>
      <h2>Account</h2>
      {viewer.isGuest ? (
        <>
          <p>
            You are here as a guest. An account keeps your conversations when you leave this
            browser.
          </p>
          <div className="ways">
            <button type="button" className="button" onClick={() => setWay("sign-up")}>
              Create an account
            </button>
            <button type="button" className="button" onClick={() => setWay("sign-in")}>
              I have one
            </button>
          </div>
          {way && <AccountForm key={way} kind={way} isGuest onDone={() => setWay(null)} />}
        </>
      ) : (
        <p>Signed in as {viewer.email}.</p>
      )}
      <SignOut />
      {viewer.isGuest && (
        <p className="muted small">A guest who signs out can't come back to what was said.</p>
      )}
    </section>
  );
}
