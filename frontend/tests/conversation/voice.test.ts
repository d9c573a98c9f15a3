/** How loud the agent is: set per person, on every line, and never louder than set. */
import type { RemoteTrack } from "livekit-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { gainOf, Voice } from "../../src/features/conversation/voice.ts";
import { type Line, openLater } from "../../src/shared/sound/line.ts";
import { Sound } from "../../src/shared/sound/sound.ts";
import { Voices } from "../../src/shared/sound/voices.ts";
import {
  FakeContext,
  FakeGain,
  FakeNode,
  FakeSocket,
  FakeStorage,
  installed,
} from "../equipment.ts";
import { connection } from "../scene.ts";

let storage: FakeStorage;
beforeEach(() => {
  vi.useFakeTimers();
  installed();
  storage = new FakeStorage();
  vi.stubGlobal("localStorage", storage);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the volume", () => {
  const scene = () => {
    const applied: number[] = [];
    return { voice: new Voice((gain) => applied.push(gain)), applied };
  };

  it("is full until somebody chooses another, and is found again after a reload", () => {
    const { voice, applied } = scene();
    voice.belongTo("usr_a");
    voice.set({ volume: 50, isOff: false });
    voice.set({ volume: 50, isOff: true });
    expect(applied).toEqual([1, 0.25, 0]);

    const again = scene();
    again.voice.belongTo("usr_a");

    expect(again.voice.value).toEqual({ volume: 50, isOff: true });
    expect(again.applied).toEqual([0]);
  });

  it("is each person's own", () => {
    const { voice, applied } = scene();
    voice.belongTo("usr_a");
    voice.set({ volume: 0, isOff: false });
    voice.belongTo("usr_b");
    expect(voice.value).toEqual({ volume: 100, isOff: false });

    voice.belongTo("usr_a");

    expect(voice.value).toEqual({ volume: 0, isOff: false });
    expect(applied).toEqual([1, 0, 1, 0]);
  });

  it("is kept of the twenty people who were here last", () => {
    const { voice } = scene();
    for (let i = 0; i < 25; i++) {
      voice.belongTo(`usr_${i}`);
      voice.set({ volume: i, isOff: false });
    }
    voice.belongTo("usr_4");
    expect(voice.value.volume).toBe(100);
    voice.belongTo("usr_5");
    expect(voice.value.volume).toBe(5);
  });

  it.each([
    "?",
    "null",
    "[]",
    '{"usr_a": 3}',
    '{"usr_a": [101, false]}',
    '{"usr_a": ["50", false]}',
  ])("is full where what was kept can't be read: %s", (kept) => {
    storage.items.set("voxql.voice", kept);
    const { voice } = scene();

    voice.belongTo("usr_a");
    expect(voice.value).toEqual({ volume: 100, isOff: false });

    voice.set({ volume: 30, isOff: false });
    expect(storage.items.get("voxql.voice")).toBe('{"usr_a":[30,false]}');
  });

  it("grows as ears hear, from nothing to all", () => {
    const gains = [0, 50, 100].map((volume) => gainOf({ volume, isOff: false }));

    expect(gains).toEqual([0, 0.25, 1]);
  });
});

describe("the loudspeaker of this page", () => {
  const playing = async () => {
    const sound = new Sound({
      microphoneAsked() {},
      microphoneOn() {},
      microphoneFailed() {},
      silenced() {},
    });
    const listener = { connected() {}, interrupted() {}, lost() {} };
    sound.setVolume(0.5);
    sound.openLine(connection("token"), "http://voxql", listener);
    FakeContext.last.module.resolve();
    await vi.advanceTimersByTimeAsync(0);
    const [node, socket] = [FakeNode.all.at(-1) as FakeNode, FakeSocket.all.at(-1) as FakeSocket];
    socket.open();
    const report = (played: unknown, level: number) =>
      node.port.onmessage?.({ data: { played, level } });
    return { sound, socket, node, report };
  };

  it("begins as loud as was chosen before, and follows what is chosen", async () => {
    const { sound, node } = await playing();
    const [gain] = FakeGain.all;
    sound.setVolume(0);
    sound.setVolume(1);

    expect(gain?.values).toEqual([0.5, 0, 1]);
    expect(node.connect).toHaveBeenCalledExactlyOnceWith(gain);
    expect(gain?.connect).toHaveBeenCalledExactlyOnceWith(FakeContext.last.destination);
  });

  it("reports what it has played while nobody hears it, and how loud that is", async () => {
    const { sound, socket, report } = await playing();
    sound.setVolume(0);
    const sent = socket.sent.length;

    report({ id: "p1", samples: 2400, isDone: true }, 0.4);
    await vi.advanceTimersByTimeAsync(0);

    const frames = socket.sent.slice(sent).map((frame) => JSON.parse(String(frame)));
    expect(frames).toEqual([{ type: "played", playout: "p1", samples: 2400 }]);
    expect(sound.levels.agent).toBe(0.4);
  });
});

describe("the voices of a room", () => {
  class FakeElement extends EventTarget {
    #volume = 1;
    #isMuted = false;
    remove = vi.fn();
    get volume() {
      return this.#volume;
    }
    set volume(volume: number) {
      this.#volume = volume;
      this.dispatchEvent(new Event("volumechange"));
    }
    get muted() {
      return this.#isMuted;
    }
    set muted(isMuted: boolean) {
      this.#isMuted = isMuted;
      this.dispatchEvent(new Event("volumechange"));
    }
  }
  const analyser = { fftSize: 32, getFloatTimeDomainData: (to: Float32Array) => void to.fill(0.5) };
  const scene = () => {
    vi.stubGlobal("document", { body: { append() {} } });
    vi.stubGlobal("MediaStream", class {});
    Object.assign(FakeContext.prototype, { createAnalyser: () => analyser });
    const levels: number[] = [];
    const voices = new Voices((level) => levels.push(level));
    const element = new FakeElement();
    const track = { attach: () => element, detach: () => [element], attachedElements: [element] };
    return { voices, levels, element, track: track as unknown as RemoteTrack };
  };

  it("are as loud as was chosen before and after they came", () => {
    const { voices, element, track } = scene();
    voices.setVolume(0.25);
    voices.add(track);
    expect([element.volume, element.muted]).toEqual([0.25, false]);

    voices.setVolume(0);
    expect([element.volume, element.muted]).toEqual([0, true]);

    voices.setVolume(1);
    expect([element.volume, element.muted]).toEqual([1, false]);
  });

  it("stay muted when LiveKit's client begins to play, and are measured", () => {
    const { voices, element, track, levels } = scene();
    voices.add(track);
    voices.setVolume(0);

    element.muted = false;
    vi.advanceTimersByTime(80);

    expect(element.muted).toBe(true);
    expect(levels.at(-1)).toBeCloseTo(0.5);
  });
});

describe("a line that is still fetched", () => {
  it("is as loud as was chosen meanwhile", async () => {
    const setVolume = vi.fn();
    const line = { send() {}, carry() {}, unlock() {}, close() {}, setVolume } satisfies Line;
    const later = openLater(
      async () => line,
      () => {},
    );

    later.setVolume(0.3);
    await vi.advanceTimersByTimeAsync(0);
    later.setVolume(0);

    expect(setVolume.mock.calls).toEqual([[0.3], [0]]);
  });
});
