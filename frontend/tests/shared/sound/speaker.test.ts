/** The loudspeaker. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Speaker } from "../../../src/shared/sound/speaker.ts";
import { FakeContext, FakeNode, installed } from "../../equipment.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the loudspeaker", () => {
  const scene = () => {
    const silenced: boolean[] = [];
    const speaker = new Speaker({
      played() {},
      level() {},
      silenced: (isSilenced) => silenced.push(isSilenced),
    });
    const say = (id: string, bytes = 960) => {
      speaker.send({ do: "begin", id });
      speaker.send({ do: "sound", pcm: new ArrayBuffer(bytes) });
      speaker.send({ do: "end", id });
    };
    return { speaker, silenced, say };
  };
  const posted = () =>
    FakeNode.all.flatMap(({ port }) => port.postMessage.mock.calls.map(([{ id }]) => id ?? "…"));
  const fails = async () => {
    FakeContext.last.module.reject(new DOMException("no such file", "AbortError"));
    await vi.advanceTimersByTimeAsync(0);
  };
  const comes = async () => {
    FakeContext.last.module.resolve();
    await vi.advanceTimersByTimeAsync(0);
  };

  it("plays what came while it was fetched, and promises reports from then on", async () => {
    const { speaker, say, silenced } = scene();
    speaker.unlock();
    say("p1");
    expect(speaker.isReady).toBe(false);

    await comes();

    expect(speaker.isReady).toBe(true);
    expect(posted()).toEqual(["p1", "…", "p1"]);
    expect(silenced).toEqual([false]);
  });

  it("that can't be fetched is asked for again, and plays the next reply", async () => {
    const { speaker, say } = scene();
    speaker.unlock();
    say("p1");
    await fails();
    say("p2");
    expect(speaker.isReady).toBe(false);
    expect(FakeContext.last.close).toHaveBeenCalledOnce();

    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeContext.all).toHaveLength(2);
    await fails();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(FakeContext.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeContext.all).toHaveLength(3);
    await comes();
    say("p3");

    expect(speaker.isReady).toBe(true);
    expect(posted()).toEqual(["p3", "…", "p3"]);
  });

  it("that can't be fetched is asked for at once by the next click", async () => {
    const { speaker } = scene();
    speaker.unlock();
    await fails();

    speaker.unlock();
    expect(FakeContext.all).toHaveLength(2);
    await comes();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(FakeContext.all).toHaveLength(2);
    expect(speaker.isReady).toBe(true);
  });

  it("is not asked for while there is no line", async () => {
    const { speaker } = scene();
    speaker.unlock();
    await fails();
    speaker.send({ do: "reset" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeContext.all).toHaveLength(1);

    speaker.unlock();
    speaker.send({ do: "reset" });
    await fails();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(FakeContext.all).toHaveLength(2);
  });

  it("that is long in coming does not play a reply from its middle", async () => {
    const { speaker, say } = scene();
    speaker.unlock();
    speaker.send({ do: "begin", id: "p1" });
    for (let second = 0; second < 60; second++)
      speaker.send({ do: "sound", pcm: new ArrayBuffer(48_000) });
    say("p2");

    await comes();

    expect(posted()).not.toContain("p1");
    expect(posted().filter((id) => id === "…").length).toBeLessThanOrEqual(6);
    expect(posted().slice(-3)).toEqual(["p2", "…", "p2"]);
  });

  it("promises no reports while the browser waits for a click", async () => {
    const { speaker, silenced } = scene();
    vi.stubGlobal("addEventListener", () => {});
    vi.stubGlobal("removeEventListener", () => {});
    speaker.unlock();
    const context = FakeContext.last;
    context.state = "suspended";
    await comes();
    expect(speaker.isReady).toBe(false);
    expect(silenced).toEqual([true]);

    context.state = "running";
    context.onstatechange?.();

    expect(speaker.isReady).toBe(true);
    expect(silenced).toEqual([true, false]);
  });
});
