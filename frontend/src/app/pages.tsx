/** Which page an address shows, and to whom. */
import { useEffect } from "react";
import { Route, Routes, useLocation, useNavigate } from "react-router";
import { problem } from "../conversation/words.ts";
import { NotFound } from "../pages/not-found.tsx";
import { SessionPage } from "../pages/session.tsx";
import { Talk } from "../pages/talk.tsx";
import { Welcome } from "../pages/welcome.tsx";
import { useLanding } from "../ui/focus.ts";
import { Head } from "../ui/head.tsx";
import { NewChat } from "../ui/new-chat.tsx";
import { useApp } from "./context.ts";
import { later } from "./later.ts";
import { Shell } from "./shell.tsx";
import { useStore } from "./store.ts";

const Settings = later(
  () => import("../pages/settings.tsx"),
  (is) => (is === "away" ? <div className="page-loading" aria-busy="true" /> : <Missing />),
);

function Missing() {
  return (
    <>
      <Head title="Settings">
        <NewChat />
      </Head>
      <div className="centred" role="alert">
        <h2>This page could not be fetched</h2>
        <p className="muted">
          It is tried again. Should it not come, the server may have a newer version: load again.
        </p>
        <button type="button" className="button" onClick={() => location.reload()}>
          Load again
        </button>
      </div>
    </>
  );
}

export function Pages() {
  const app = useApp();
  const presence = useStore(app.presence);
  const navigate = useNavigate();
  const { pathname } = useLocation();
  useLanding(`${presence.is} ${pathname}`, presence.is === "loading");
  useEffect(() => {
    app.navigate = navigate;
  }, [app, navigate]);

  return (
    <>
      {presence.is === "loading" && <div className="page-loading" aria-busy="true" />}
      {presence.is === "unknown" && (
        <main className="centred">
          <h1>VoxQL does not answer</h1>
          <p className="muted">{problem(presence.failure)}</p>
          <button type="button" className="button primary" onClick={() => void app.look()}>
            Try again
          </button>
        </main>
      )}
      {presence.is === "away" && <Welcome wasHere={presence.wasHere} />}
      {presence.is === "here" && (
        <Shell>
          <Routes>
            <Route path="/" element={<Talk />} />
            <Route path="/c/:id" element={<SessionPage />} />
            <Route path="/settings" element={<Settings />} />
            <Route path="*" element={<NotFound />} />
          </Routes>
        </Shell>
      )}
    </>
  );
}
