/** Whether there is a network, according to the browser and the server. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Online, reaches } from "../../src/app/online.ts";

const navigator_ = { onLine: true };
let page: EventTarget;
beforeEach(() => {
  vi.useFakeTimers();
  page = new EventTarget();
  navigator_.onLine = true;
  vi.stubGlobal("navigator", navigator_);
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Fires the browser's event and lets the page react. */
async function becomes(is: "online" | "offline"): Promise<void> {
  navigator_.onLine = is === "online";
  page.dispatchEvent(new Event(is));
  await vi.advanceTimersByTimeAsync(0);
}

function watched(isReached: () => Promise<boolean>) {
  const online = new Online(isReached);
  const told: boolean[] = [];
  online.watch(() => told.push(online.value));
  return { online, told };
}

describe("a page", () => {
  it("is offline when the browser is and the server can't be reached, until the browser is back", async () => {
    const { told } = watched(async () => false);

    await becomes("offline");
    await becomes("online");

    expect(told).toEqual([false, true]);
  });

  it("is online without any network where the server is on its own machine", async () => {
    const { told, online } = watched(async () => true);

    await becomes("offline");

    expect(told).toEqual([]);
    expect(online.value).toBe(true);
  });

  it("asks nobody while the browser has a network", async () => {
    const isReached = vi.fn(async () => true);
    watched(isReached);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(isReached).not.toHaveBeenCalled();
  });

  it("looks for the server again while the browser goes on to say that it has none", async () => {
    let is = false;
    const { told } = watched(async () => is);
    await becomes("offline");
    is = true;

    await vi.advanceTimersByTimeAsync(5_000);

    expect(told).toEqual([false, true]);
  });

  it("is offline from the start where it is opened so", async () => {
    navigator_.onLine = false;
    const { told } = watched(async () => false);

    await vi.advanceTimersByTimeAsync(0);

    expect(told).toEqual([false]);
  });

  it("is not offline because of an answer that came after the network was back", async () => {
    let answer = (_: boolean) => {};
    const { told } = watched(() => new Promise((resolve) => (answer = resolve)));
    await becomes("offline");
    await becomes("online");

    answer(false);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(told).toEqual([]);
  });
});

describe("a server", () => {
  it.each([
    [async () => new Response(null, { status: 503 }), true],
    [async () => Promise.reject(new TypeError("Failed to fetch")), false],
  ])("is reached by any answer: %#", async (fetcher, is) => {
    vi.stubGlobal("fetch", vi.fn(fetcher));

    expect(await reaches("https://voxql.test/base")).toBe(is);

    expect(fetch).toHaveBeenCalledWith("https://voxql.test/base/healthz", expect.anything());
  });
});
