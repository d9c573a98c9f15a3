/** Which page an address shows, and to whom. */
import { lazy, Suspense, useEffect } from "react";
import { Route, Routes, useLocation, useNavigate } from "react-router";
import { problem } from "../conversation/words.ts";
import { NotFound } from "../pages/not-found.tsx";
import { SessionPage } from "../pages/session.tsx";
import { Talk } from "../pages/talk.tsx";
import { Welcome } from "../pages/welcome.tsx";
import { useLanding } from "../ui/focus.ts";
import { useApp } from "./context.ts";
import { Shell } from "./shell.tsx";
import { useStore } from "./store.ts";

const Settings = lazy(() => import("../pages/settings.tsx"));

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
          <Suspense fallback={<div className="page-loading" aria-busy="true" />}>
            <Routes>
              <Route path="/" element={<Talk />} />
              <Route path="/c/:id" element={<SessionPage />} />
              <Route path="/settings" element={<Settings />} />
              <Route path="*" element={<NotFound />} />
            </Routes>
          </Suspense>
        </Shell>
      )}
    </>
  );
}
