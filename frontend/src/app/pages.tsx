/** Chooses the page for an address and a login. */
import { useEffect } from "react";
import { Welcome } from "../features/account/welcome.tsx";
import { problem } from "../features/conversation/messages.ts";
import { NewChat } from "../features/conversation/view/new-chat.tsx";
import { SessionPage } from "../features/conversation/view/session.tsx";
import { Talk } from "../features/conversation/view/talk.tsx";
import { later } from "../shared/store/lazy.ts";
import { useStore } from "../shared/store/store.ts";
import { useLanding } from "../shared/ui/focus.ts";
import { Head } from "../shared/ui/head.tsx";
import { PieceMissing } from "../shared/ui/missing.tsx";
import { NotFound } from "../shared/ui/not-found.tsx";
import * as texts from "../texts.ts";
import { useApp } from "./context.ts";
import { navigate, useLocation } from "./router.tsx";
import { Shell } from "./shell.tsx";

const Settings = later(
  () => import("../features/account/settings.tsx"),
  (is) => (is === "away" ? <div className="page-loading" aria-busy="true" /> : <Missing />),
);

function Missing() {
  return (
    <>
      <Head title={texts.settingsTitle}>
        <NewChat />
      </Head>
      <PieceMissing />
    </>
  );
}

function Page({ pathname }: { pathname: string }) {
  // A trailing slash makes no difference.
  const [page, id, ...more] = pathname.replace(/\/$/, "").slice(1).split("/");
  if (!page) return <Talk />;
  if (page === "c" && id && more.length === 0) return <SessionPage id={id} />;
  if (page === "settings" && id === undefined) return <Settings />;
  return <NotFound />;
}

export function Pages() {
  const app = useApp();
  const presence = useStore(app.presence);
  const { pathname } = useLocation();
  useLanding(`${presence.is} ${pathname}`, presence.is === "loading");
  useEffect(() => {
    app.navigate = navigate;
  }, [app]);

  return (
    <>
      {presence.is === "loading" && <div className="page-loading" aria-busy="true" />}
      {presence.is === "unknown" && (
        <main className="centred">
          <h1>{texts.noAnswer}</h1>
          <p className="muted">{problem(presence.failure)}</p>
          <button type="button" className="button primary" onClick={() => void app.look()}>
            {texts.tryAgain}
          </button>
        </main>
      )}
      {presence.is === "away" && <Welcome wasHere={presence.wasHere} />}
      {presence.is === "here" && (
        <Shell>
          <Page pathname={pathname} />
        </Shell>
      )}
    </>
  );
}
