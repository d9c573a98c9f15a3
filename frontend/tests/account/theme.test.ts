/** The colour around the page: that of its paper, in the chosen theme. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";

import { showTheme } from "../../src/app/theme.ts";
import { FakeStorage } from "../equipment.ts";

afterEach(() => vi.unstubAllGlobals());

const source = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The theme colours in index.html. */
function named() {
  const metas = source("index.html").matchAll(/<meta name="theme-color"([^>]*)>/g);
  return [...metas].map(([, rest = ""]) => {
    const part = (name: string) => rest.match(`${name}="([^"]*)"`)?.[1];
    return {
      dataset: { theme: part("data-theme") },
      content: part("content"),
      media: part("media"),
    };
  });
}

/** A page loaded from index.html, with an earlier choice in its storage. */
function page(chosen: string | null) {
  const metas = named();
  const documentElement = { dataset: {} as Record<string, string> };
  const storage = new FakeStorage();
  if (chosen) storage.setItem("voxql.theme", chosen);
  vi.stubGlobal("localStorage", storage);
  vi.stubGlobal("document", { documentElement, querySelectorAll: () => metas });
  // Browsers run it as a script, not as a module.
  new Function(source("public/theme.js"))();
  return { documentElement, media: () => metas.map(({ media }) => media) };
}

const SYSTEM = ["(prefers-color-scheme: light)", "(prefers-color-scheme: dark)"];
const LIGHT = ["all", "not all"];
const DARK = ["not all", "all"];

describe("the colour around the page", () => {
  it("is that of its paper", () => {
    const paper = source("src/styles/tokens.css").match(/--paper: light-dark\((.*), (.*)\)/);

    expect(named().map(({ dataset, content }) => [dataset.theme, content])).toEqual([
      ["light", paper?.[1]],
      ["dark", paper?.[2]],
    ]);
  });

  it.each([
    [null, SYSTEM],
    ["nonsense", SYSTEM],
    ["light", LIGHT],
    ["dark", DARK],
  ])("is that of the theme that was chosen before: %s", (chosen, media) => {
    expect(page(chosen).media()).toEqual(media);
  });

  it("changes with a choice, and goes back to the system's", () => {
    const { documentElement, media } = page("light");

    showTheme("dark");
    expect(media()).toEqual(DARK);
    expect(documentElement.dataset).toEqual({ theme: "dark" });
    showTheme("system");

    expect(media()).toEqual(SYSTEM);
    expect(documentElement.dataset).toEqual({});
  });
});
