/** Keyboard shortcuts, written the way the person's system writes them. */
import { afterEach, describe, expect, it, vi } from "vitest";

import { isMac, keysOf, shortcut } from "../../src/app/system.ts";

afterEach(() => vi.unstubAllGlobals());

describe("a shortcut", () => {
  it.each([
    ["Ctrl+Shift+O", ["Ctrl", "Shift", "O"], ["⇧", "⌘", "O"]],
    ["Ctrl+K", ["Ctrl", "K"], ["⌘", "K"]],
    ["Control+M", ["Ctrl", "M"], ["⌃", "M"]],
    ["Ctrl+/", ["Ctrl", "/"], ["⌘", "/"]],
    ["Enter", ["Enter"], ["↩"]],
    ["Esc", ["Esc"], ["esc"]],
  ])("is written as on the keys: %s", (keys, elsewhere, onMac) => {
    expect(keysOf(keys, false)).toEqual(elsewhere);
    expect(keysOf(keys, true)).toEqual(onMac);
  });

  it("is one word in a sentence", () => {
    expect([shortcut("Ctrl+C", false), shortcut("Ctrl+C", true)]).toEqual(["Ctrl+C", "⌘C"]);
  });

  it.each([
    ["MacIntel", true],
    ["iPhone", true],
    ["iPad", true],
    ["Linux x86_64", false],
    ["Win32", false],
  ])("is written as %s does", (platform, is) => {
    vi.stubGlobal("navigator", { platform });

    expect(isMac()).toBe(is);
  });
});
