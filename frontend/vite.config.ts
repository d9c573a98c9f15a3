import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { compressed } from "./scripts/compressed.ts";
import { webManifest } from "./scripts/manifest.ts";
import { texts } from "./scripts/texts.ts";

/** The server behind `npm run dev`: the one that `make dev` starts. */
const server = `http://127.0.0.1:${process.env["VOXQL_PORT"] || "8000"}`;

// The server accepts cookies only from its own origin, so the proxy sends that origin.
const proxied = { target: server, headers: { origin: server }, ws: true, changeOrigin: true };

export default defineConfig({
  // Relative to the page's <base>: the server may live under a path.
  base: "./",
  plugins: [react(), texts(), webManifest(), compressed()],
  server: {
    proxy: { "/graphql": proxied, "/audio": proxied },
  },
  build: {
    target: "es2022",
    // Inlined data: URLs would need an exception in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Inline each text into the chunk that shows it; otherwise the first load has all of them.
    rolldownOptions: { optimization: { inlineConst: { mode: "all", pass: 3 } } },
    // High enough for LiveKit's client, which is fetched only for connections through a room.
    chunkSizeWarningLimit: 600,
  },
  worker: { format: "es" },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
