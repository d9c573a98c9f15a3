/** How a page captures, sends and plays sound. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Sound } from "../../../src/shared/sound/sound.ts";
import { FakeContext, FakeSocket, FakeStream, installed, microphones } from "../../equipment.ts";
import { connection } from "../../scene.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the sound of a page", () => {
  function scene() {
    const told: string[] = [];
    const sound = new Sound({
      microphoneAsked() {},
      microphoneOn: () => told.push("on"),
      microphoneFailed: (problem) => told.push(problem),
      silenced() {},
    });
    return { sound, told };
  }
  /** Grants a requested microphone; returns its stream. */
  async function arrives(index: number): Promise<FakeStream> {
    const stream = new FakeStream();
    microphones[index]?.resolve(stream);
    await vi.advanceTimersByTimeAsync(0);
    return stream;
  }
  /** Completes the fetch of the capture worklet. */
  async function isHeard(): Promise<void> {
    FakeContext.last.module.resolve();
    await vi.advanceTimersByTimeAsync(0);
  }
  const isOpen = (stream: FakeStream) => stream.track.stop.mock.calls.length === 0;

  it("hears with the microphone that was chosen last, whichever comes first", async () => {
    const { sound, told } = scene();
    void sound.openMicrophone();
    const first = await arrives(0);
    await isHeard();
    expect(told).toEqual(["on"]);

    sound.choose("a");
    sound.choose("b");
    expect(microphones.map(({ id }) => id)).toEqual([undefined, "a", "b"]);
    const b = await arrives(2);
    await isHeard();
    const a = await arrives(1);
    await isHeard();

    expect([first, a, b].map(isOpen)).toEqual([false, false, true]);
    expect(told).toEqual(["on", "on"]);
  });

  it("takes a choice while the first microphone is still asked for", async () => {
    const { sound, told } = scene();
    void sound.openMicrophone();
    sound.choose("a");
    const first = await arrives(0);
    await isHeard();
    const a = await arrives(1);
    await isHeard();

    expect([first, a].map(isOpen)).toEqual([false, true]);
    expect(told).toEqual(["on"]);
  });

  it("opens no microphone by a choice when there is to be none", async () => {
    const { sound, told } = scene();
    sound.choose("a");
    void sound.openMicrophone();
    const a = await arrives(0);
    await isHeard();
    sound.closeMicrophone();
    sound.choose("b");
    expect(isOpen(a)).toBe(false);
    expect(microphones.map(({ id }) => id)).toEqual(["a"]);

    void sound.openMicrophone();
    vi.stubGlobal("navigator", { ...navigator, permissions: { query: async () => ({}) } });
    microphones[1]?.reject(new DOMException("", "NotAllowedError"));
    await vi.advanceTimersByTimeAsync(0);
    sound.choose("c");

    expect(told).toEqual(["on", "denied"]);
    expect(microphones).toHaveLength(2);
  });

  it("hears nothing while it is muted, also with the microphone that is opened then", async () => {
    const { sound } = scene();
    void sound.openMicrophone();
    const first = await arrives(0);
    await isHeard();
    sound.hearing = "now";
    expect(first.track.enabled).toBe(true);

    sound.mute(true);
    expect(first.track.enabled).toBe(false);
    void sound.openMicrophone();
    const second = await arrives(1);
    await isHeard();
    expect(second.track.enabled).toBe(false);

    sound.mute(false);
    expect(second.track.enabled).toBe(true);
  });

  it("leaves nothing open when what hears the microphone can't be fetched", async () => {
    const { sound, told } = scene();
    void sound.openMicrophone();
    const stream = await arrives(0);

    FakeContext.last.module.reject(new DOMException("no such file", "AbortError"));
    await vi.advanceTimersByTimeAsync(0);

    expect(told).toEqual(["failed"]);
    expect(isOpen(stream)).toBe(false);
    expect(FakeContext.all.map(({ state }) => state)).toEqual(["closed"]);
  });

  it("tells the agent not to wait for reports while there is no loudspeaker", async () => {
    const { sound } = scene();
    const hello = () => {
      sound.openLine(connection("token"), "https://voxql.test", {
        connected() {},
        interrupted() {},
        lost() {},
      });
      const socket = FakeSocket.all.at(-1);
      socket?.onopen?.();
      return JSON.parse(String(socket?.sent[0]));
    };
    sound.unlock();
    FakeContext.last.module.reject(new DOMException("no such file", "AbortError"));
    await vi.advanceTimersByTimeAsync(0);
    expect(hello()).toMatchObject({ type: "hello", reportsPlayed: false });

    FakeContext.last.module.resolve();
    await vi.advanceTimersByTimeAsync(0);

    expect(hello()).toMatchObject({ type: "hello", reportsPlayed: true });
  });

  it("loses a line of this server's own that is known to be dead", () => {
    const { sound } = scene();
    const lost = vi.fn();
    sound.openLine(connection("token"), "https://voxql.test", {
      connected() {},
      interrupted() {},
      lost,
    });
    FakeSocket.all[0]?.open();

    sound.loseLine();

    expect(lost).toHaveBeenCalledExactlyOnceWith(1006, false);
  });
});
