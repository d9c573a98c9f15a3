/** Pieces fetched after the page, from a server that may be down. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { fetchPieces, Later, later, UNHURRIED_MS } from "../../src/shared/store/lazy.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a piece of the page", () => {
  it("is fetched once, however often it is asked for", async () => {
    const load = vi.fn(async () => "menu");
    const piece = new Later(load);
    expect(piece.fetched.value).toEqual({ is: "away" });

    piece.start();
    piece.start();
    await vi.runAllTimersAsync();
    piece.start();

    expect(piece.fetched.value).toEqual({ is: "here", value: "menu" });
    expect(load).toHaveBeenCalledTimes(1);
  });

  it("is missing while it can't be had, and comes when it can", async () => {
    let isDown = true;
    const load = vi.fn(async () => {
      if (isDown) throw new TypeError("Failed to fetch dynamically imported module");
      return "menu";
    });
    const piece = new Later(load);
    const seen: string[] = [];
    piece.fetched.watch(() => seen.push(piece.fetched.value.is));

    piece.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toEqual(["missing"]);
    expect(load.mock.calls.length).toBeGreaterThan(4);
    expect(load.mock.calls.length).toBeLessThan(12);

    isDown = false;
    await vi.advanceTimersByTimeAsync(15_000);
    expect(seen).toEqual(["missing", "here"]);
  });
});

describe("all pieces of the page", () => {
  it("come by themselves, but not before the page has been usable for a while", async () => {
    const load = vi.fn(async () => ({ default: () => null }));
    later(load);

    fetchPieces();
    await vi.advanceTimersByTimeAsync(UNHURRIED_MS - 1);
    expect(load).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    fetchPieces();
    await vi.runAllTimersAsync();

    expect(load).toHaveBeenCalledTimes(1);
  });

  it("wait until the browser has nothing else to do, where it can tell", async () => {
    const idle: (() => void)[] = [];
    vi.stubGlobal("requestIdleCallback", (call: () => void) => idle.push(call));
    const load = vi.fn(async () => ({ default: () => null }));
    later(load);

    fetchPieces();
    await vi.advanceTimersByTimeAsync(UNHURRIED_MS);
    expect(load).not.toHaveBeenCalled();
    for (const call of idle) call();

    expect(load).toHaveBeenCalledTimes(1);
  });

  it("stay away when that is called off", async () => {
    const load = vi.fn(async () => ({ default: () => null }));
    later(load);

    fetchPieces()();
    await vi.runAllTimersAsync();

    expect(load).not.toHaveBeenCalled();
  });
});
