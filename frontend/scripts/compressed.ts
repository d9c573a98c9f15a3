/** Packs what was built, so that the server need not, and holds the first load to its limit. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin, Rollup } from "vite";

/** Bytes, packed by gzip, of everything that comes before the page can be used. */
export const MOST_BYTES = 150_000;

const IS_TEXT = /\.(?:html|js|css|svg|webmanifest)$/;

export function compressed(): Plugin {
  let folder = "";
  let first: string[] = [];
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    writeBundle(_, bundle) {
      first = ["index.html", "theme.js", "icon.svg", ...firstLoad(bundle)];
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (IS_TEXT.test(name)) pack(join(folder, name));
      }
      const bytes = first.map((name) => weight(folder, name)).reduce((a, b) => a + b, 0);
      this.info(`first load: ${(bytes / 1000).toFixed(1)} kB gzip of ${MOST_BYTES / 1000}`);
      if (bytes > MOST_BYTES) this.error(`The first load has ${bytes} bytes: ${first.join(", ")}`);
    },
  };
}

function pack(path: string): void {
  const plain = readFileSync(path);
  writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9 }));
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  writeFileSync(`${path}.br`, brotliCompressSync(plain, { params: quality }));
}

function weight(folder: string, name: string): number {
  const path = join(folder, name);
  return readFileSync(IS_TEXT.test(name) ? `${path}.gz` : path).length;
}

/**
 * The entry, what it imports at once, its styles, and the font that English needs: all that comes
 * before somebody can use the page, who is signed in and has a history. What is imported later
 * comes when it is needed, or some seconds after that (`src/shared/store/lazy.ts`).
 */
function firstLoad(bundle: Rollup.OutputBundle): string[] {
  const names = new Set<string>();
  const add = (name: string) => {
    const chunk = bundle[name];
    if (names.has(name) || chunk?.type !== "chunk") return;
    names.add(name);
    for (const style of chunk.viteMetadata?.importedCss ?? []) names.add(style);
    chunk.imports.forEach(add);
  };
  for (const [name, part] of Object.entries(bundle)) {
    if (part.type === "chunk" && part.isEntry) add(name);
    if (part.type === "asset" && /latin-wght-normal.*woff2$/.test(name)) names.add(name);
  }
  return [...names];
}
