/** What a system that installs the page has to know of it. Addresses are relative to its own. */
import type { Plugin } from "vite";

import { html } from "../src/texts.ts";

const NAME = "manifest.webmanifest";
/** The light paper of `styles/tokens.css`, as in `index.html`. */
const PAPER = "#fcfbf9";

const manifest = JSON.stringify({
  name: html.title,
  short_name: html.title,
  description: html.description,
  lang: "en",
  start_url: "./",
  scope: "./",
  display: "standalone",
  theme_color: PAPER,
  background_color: PAPER,
  icons: [
    { src: "icon.svg", type: "image/svg+xml", sizes: "any" },
    { src: "icon-192.png", type: "image/png", sizes: "192x192" },
    { src: "icon-512.png", type: "image/png", sizes: "512x512" },
    { src: "icon-maskable-512.png", type: "image/png", sizes: "512x512", purpose: "maskable" },
  ],
});

export function webManifest(): Plugin {
  return {
    name: "manifest",
    configureServer({ middlewares }) {
      middlewares.use(`/${NAME}`, (_, response) => {
        response.setHeader("Content-Type", "application/manifest+json");
        response.end(manifest);
      });
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: NAME, source: manifest });
    },
  };
}
