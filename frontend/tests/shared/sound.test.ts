/** How sound is captured, sent and played. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Held, openLink } from "../../src/shared/sound/link.ts";
import { Playouts } from "../../src/shared/sound/playouts.ts";
import { loudness, Resampler, toPcm } from "../../src/shared/sound/resample.ts";
import { Sound } from "../../src/shared/sound/sound.ts";
import { Speaker } from "../../src/shared/sound/speaker.ts";
import {
  FakeContext,
  FakeNode,
  FakeSocket,
  FakeStream,
  installed,
  microphones,
} from "../equipment.ts";
import { connection } from "../scene.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const block = (length: number, value = 1000) => new Int16Array(length).fill(value);
const fill = (playouts: Playouts, length: number) => {
  const out = new Float32Array(length);
  return { out, reports: playouts.fill(out) };
};

describe("playouts", () => {
  it("wait for a head start, then play without a gap and count what was played", () => {
    const playouts = new Playouts(100);
    playouts.begin("p1");
    playouts.add(block(60));
    expect(fill(playouts, 50).out.every((sample) => sample === 0)).toBe(true);
    expect(playouts.current).toBeNull();

    playouts.add(block(60));
    expect(fill(playouts, 50).out.every((sample) => sample > 0)).toBe(true);

    expect(playouts.current).toEqual({ id: "p1", samples: 50, isDone: false });
  });

  it("report the whole length when a reply is complete", () => {
    const playouts = new Playouts(100);
    playouts.begin("p1");
    playouts.add(block(80));
    playouts.end("p1");

    const { out, reports } = fill(playouts, 128);

    expect(reports).toEqual([{ id: "p1", samples: 80, isDone: true }]);
    expect(out.subarray(80).every((sample) => sample === 0)).toBe(true);
  });

  it("fall silent at once when they are cleared, and tell how far they had come", () => {
    const playouts = new Playouts(0);
    playouts.begin("p1");
    playouts.add(block(1000));
    fill(playouts, 128);

    expect(playouts.clear("p1")).toEqual({ id: "p1", samples: 128, isDone: true });

    playouts.add(block(500));
    expect(fill(playouts, 128).out.every((sample) => sample === 0)).toBe(true);
  });

  it("count each reply from its own beginning", () => {
    const playouts = new Playouts(0);
    playouts.begin("p1");
    playouts.add(block(100));
    playouts.end("p1");
    playouts.begin("p2");
    playouts.add(block(100, 2000));

    const { reports } = fill(playouts, 150);

    expect(reports).toEqual([{ id: "p1", samples: 100, isDone: true }]);
    expect(playouts.current).toEqual({ id: "p2", samples: 50, isDone: false });
  });

  it("play to its end what came before the line broke", () => {
    const playouts = new Playouts(1000);
    playouts.begin("p1");
    playouts.add(block(64));

    playouts.abandon();

    expect(fill(playouts, 128).reports).toEqual([{ id: "p1", samples: 64, isDone: true }]);
  });
});

describe("the resampler", () => {
  const tone = (hertz: number, rate: number, seconds: number) =>
    Float32Array.from({ length: rate * seconds }, (_, i) =>
      Math.sin((2 * Math.PI * hertz * i) / rate),
    );
  const through = (input: Float32Array, from: number) => {
    const resampler = new Resampler(from, 16_000);
    const out: number[] = [];
    for (let i = 0; i < input.length; i += 128)
      out.push(...resampler.take(input.slice(i, i + 128)));
    return Float32Array.from(out);
  };

  it.each([48_000, 44_100])("brings %i Hz to 16,000, within a block", (rate) => {
    const out = through(tone(440, rate, 1), rate);

    expect(out.length).toBeGreaterThan(15_900);
    expect(out.length).toBeLessThanOrEqual(16_000);
  });

  it.each([200, 1000, 4000])("keeps a tone of %i Hz as loud as it was", (hertz) => {
    const out = through(tone(hertz, 48_000, 1), 48_000);

    expect(loudness(out.subarray(500, 15_000))).toBeCloseTo(Math.SQRT1_2, 1);
  });

  it("takes out what 16,000 Hz can't hold", () => {
    const out = through(tone(11_000, 48_000, 1), 48_000);

    expect(loudness(out.subarray(500, 15_000))).toBeLessThan(0.01);
  });
});

describe("PCM", () => {
  it("is signed 16 bit, cut off at its ends", () => {
    expect([...toPcm(Float32Array.of(0, 1, -1, 2, -2))]).toEqual([
      0, 32_767, -32_767, 32_767, -32_767,
    ]);
  });
});

describe("sound that can't be sent", () => {
  it("waits, the newest 30 s of it", () => {
    const held = new Held();
    for (let second = 0; second < 40; second++) held.add(new ArrayBuffer(32_000));

    expect(held.takeAll()).toHaveLength(30);
    expect(held.takeAll()).toEqual([]);
  });
});

describe("the line for sound", () => {
  /** 40 ms in bytes: one block from the microphone. */
  const BLOCK = 1280;
  const A_SECOND = 25;

  function scene(waiting = new Held()) {
    const lost: string[] = [];
    const link = openLink(
      "ws://voxql/audio",
      "token",
      {
        connected() {},
        lost: (code, isTerminal) => lost.push(`${code}${isTerminal ? " for good" : ""}`),
        begin() {},
        sound() {},
        end() {},
        clear() {},
      },
      { waiting },
    );
    const socket = FakeSocket.all.at(-1) as FakeSocket;
    const speak = (blocks: number) => {
      for (let i = 0; i < blocks; i++) link.send(new ArrayBuffer(BLOCK));
    };
    return { link, socket, waiting, lost, speak };
  }

  it("is lost when nothing gets through any more, and keeps what it has not sent", () => {
    const { socket, waiting, lost, speak } = scene();
    socket.open();
    speak(2 * A_SECOND);
    expect(socket.sound).toHaveLength(2 * A_SECOND);

    socket.isAlive = false;
    speak(5 * A_SECOND);
    expect(lost).toEqual([]);
    speak(A_SECOND);

    expect(lost).toEqual(["1006"]);
    expect(socket.close).toHaveBeenCalledOnce();
    const inIt = socket.sound.length - 2 * A_SECOND;
    expect(inIt).toBe(A_SECOND);
    expect(waiting.takeAll()).toHaveLength(6 * A_SECOND - inIt);
  });

  it("is not lost while it is only slow, and sends in order what had to wait", () => {
    const { socket, lost, link } = scene();
    socket.open();
    socket.isAlive = false;
    const blocks = Array.from({ length: 20 * A_SECOND }, () => new ArrayBuffer(BLOCK));

    for (const [i, block] of blocks.entries()) {
      link.send(block);
      // Half of the sound gets through.
      if (i % 2) socket.bufferedAmount = Math.max(0, socket.bufferedAmount - BLOCK);
    }
    socket.bufferedAmount = 0;
    socket.isAlive = true;
    link.send(new ArrayBuffer(BLOCK));

    expect(lost).toEqual([]);
    expect(socket.sound.slice(0, -1)).toEqual(blocks);
  });

  it("is not lost by the burst with which it begins, however long that takes", () => {
    const waiting = new Held();
    for (let i = 0; i < 30 * A_SECOND; i++) waiting.add(new ArrayBuffer(BLOCK));
    const { socket, lost, link } = scene(waiting);
    socket.isAlive = false;
    socket.open();
    expect(socket.sound).toHaveLength(30 * A_SECOND);

    for (let i = 0; i < 20 * A_SECOND; i++) {
      socket.bufferedAmount -= 100;
      link.send(new ArrayBuffer(BLOCK));
    }

    expect(lost).toEqual([]);
  });

  it("is lost once when it is known to be dead, whatever its socket says later", () => {
    const { link, socket, lost } = scene();
    socket.open();

    link.lose();
    link.lose();
    socket.onclose?.({ code: 1000 });

    expect(lost).toEqual(["1006"]);
  });

  it("sends nothing to a socket that was closed right after its welcome", () => {
    const waiting = new Held();
    waiting.add(new ArrayBuffer(BLOCK));
    const { socket } = scene(waiting);
    socket.readyState = 2;

    socket.open();

    expect(socket.sound).toEqual([]);
    expect(waiting.takeAll()).toHaveLength(1);
  });

  it("is lost when no welcome comes, without waiting for an answer to that", () => {
    const { socket, lost } = scene();
    socket.onopen?.();

    vi.advanceTimersByTime(10_000);

    expect(lost).toEqual(["1006"]);
  });

  it("is nobody's any more once it is closed", () => {
    const { link, lost } = scene();
    link.close();

    link.lose();
    vi.advanceTimersByTime(60_000);

    expect(lost).toEqual([]);
  });
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

describe("the microphone that is asked for", () => {
  /** Opens the microphone with this permission query; `told` records `microphoneAsked`. */
  async function asks(query: (() => Promise<{ state: string }>) | undefined) {
    const permissions = query && { query };
    vi.stubGlobal("navigator", { mediaDevices: navigator.mediaDevices, permissions });
    const told: boolean[] = [];
    const sound = new Sound({
      microphoneAsked: (isPrompting) => told.push(isPrompting),
      microphoneOn() {},
      microphoneFailed() {},
      silenced() {},
    });
    void sound.openMicrophone();
    return { told, sound, answer: () => vi.advanceTimersByTimeAsync(0) };
  }

  it.each([
    ["prompt", [false, true]],
    ["granted", [false]],
    ["denied", [false]],
  ])("is up to the person only where nothing is decided: %s", async (state, expected) => {
    const { told, answer } = await asks(async () => ({ state }));

    await answer();

    expect(told).toEqual(expected);
  });

  it("may be up to the person where the browser can't tell", async () => {
    const { told, answer } = await asks(undefined);

    await answer();

    expect(told).toEqual([false, true]);
  });

  it("is nothing that the page waits for any more when it is closed first", async () => {
    const { told, sound, answer } = await asks(async () => ({ state: "prompt" }));

    sound.closeMicrophone();
    await answer();

    expect(told).toEqual([false]);
  });
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
