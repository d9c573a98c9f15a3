/** Why there is no microphone: the browser's error, and the real cause. */
import { afterEach, describe, expect, it, vi } from "vitest";

import { problemOf } from "../../src/shared/sound/refusal.ts";

afterEach(() => vi.unstubAllGlobals());

function permission(state: string | null): void {
  const query = () =>
    state === null ? Promise.reject(new TypeError("no such name")) : Promise.resolve({ state });
  vi.stubGlobal("navigator", { permissions: { query } });
}

describe("a microphone that can't be had", () => {
  it.each([
    ["NotAllowedError", "prompt", "denied"],
    ["SecurityError", "prompt", "denied"],
    ["NotFoundError", "granted", "missing"],
    ["NotFoundError", "prompt", "missing"],
    ["OverconstrainedError", "granted", "missing"],
    // Some browsers hide their devices from a page without permission.
    ["NotFoundError", "denied", "denied"],
    ["NotReadableError", "denied", "denied"],
    ["NotReadableError", "granted", "failed"],
    // Others don't reveal the page's permission.
    ["NotFoundError", null, "missing"],
    ["NotReadableError", null, "failed"],
  ])("for %s, with a permission that is %s, is %s", async (name, state, problem) => {
    permission(state);

    expect(await problemOf({ name })).toBe(problem);
  });

  it("is told apart where pages may not ask about permissions at all", async () => {
    vi.stubGlobal("navigator", {});

    expect(await problemOf({ name: "NotFoundError" })).toBe("missing");
  });
});
