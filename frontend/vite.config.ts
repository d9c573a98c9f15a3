import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { compressed } from "./scripts/compressed.ts";
import { webManifest } from "./scripts/manifest.ts";
import { texts } from "./scripts/texts.ts";

/** The server that `npm run dev` talks to: the one that `make dev` starts. */
const server = `http://127.0.0.1:${process.env["VOXQL_PORT"] || "8000"}`;

// The server takes cookies from its own pages only; behind this proxy, ours is one of them.
const proxied = { target: server, headers: { origin: server }, ws: true, changeOrigin: true };

export default defineConfig({
  // Of the page's <base>: the server may live under a path.
  base: "./",
  plugins: [react(), texts(), webManifest(), compressed()],
  server: {
    proxy: { "/graphql": proxied, "/audio": proxied },
  },
  build: {
    target: "es2022",
    // A data: URL would need a hole in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Texts go to the chunk that shows them; their module would be in the first load, whole.
    rolldownOptions: { optimization: { inlineConst: { mode: "all", pass: 3 } } },
    // LiveKit's client, which is fetched only where a connection goes through a room.
    chunkSizeWarningLimit: 600,
  },
  worker: { format: "es" },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
