/** Settings: account, theme, microphone and API tokens. */
import { useState } from "react";
import { useViewer } from "../../app/context.ts";
import { BASE } from "../../shared/api/base.ts";
import { Head } from "../../shared/ui/head.tsx";
import * as texts from "../../texts.ts";
import { NewChat } from "../conversation/view/new-chat.tsx";
import { AccountForm } from "./account-form.tsx";
import { Devices } from "./settings/devices.tsx";
import { SignOut } from "./settings/sign-out.tsx";
import { Theme } from "./settings/theme.tsx";
import { Tokens } from "./settings/tokens.tsx";

export default function Settings() {
  return (
    <>
      <Head title={texts.settingsTitle}>
        <NewChat />
      </Head>
      <div className="scroll">
        <div className="column settings">
          <Account />
          <Theme />
          <Devices />
          <Tokens />
          <section>
            <h2>{texts.developersTitle}</h2>
            <p>
              {texts.developersTryIt}{" "}
              <a href={`${BASE}/graphql`}>{texts.developersOpenPlayground}</a>
            </p>
          </section>
        </div>
      </div>
    </>
  );
}

function Account() {
  const viewer = useViewer();
  const [way, setWay] = useState<"sign-up" | "sign-in" | null>(null);
  if (viewer === null) return null;
  return (
    <section>
      <h2>{texts.accountTitle}</h2>
      {viewer.isGuest ? (
        <>
          <p>{texts.accountForGuests}</p>
          <div className="ways">
            <button type="button" className="button" onClick={() => setWay("sign-up")}>
              {texts.createAccount}
            </button>
            <button type="button" className="button" onClick={() => setWay("sign-in")}>
              {texts.signIn}
            </button>
          </div>
          {way && <AccountForm key={way} kind={way} isGuest onDone={() => setWay(null)} />}
        </>
      ) : (
        <p>{texts.accountSignedInAs(viewer.email ?? "")}</p>
      )}
      <SignOut isGuest={viewer.isGuest} onCreateAccount={() => setWay("sign-up")} />
    </section>
  );
}
