import "./styles/tokens.css";
import "./styles/page.css";
import "./styles/controls.css";
import "./styles/talk.css";
import "./styles/history.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./app/app.ts";
import { Boundary } from "./app/boundary.tsx";
import { AppContext } from "./app/context.ts";
import { Pages } from "./app/pages.tsx";
import { BASE } from "./shared/api/base.ts";

const app = new App(location.origin + BASE);
void app.look();

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <Boundary onBroken={() => app.silence()}>
      <AppContext value={app}>
        <Pages />
      </AppContext>
    </Boundary>
  </StrictMode>,
);
