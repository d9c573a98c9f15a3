/** What happens to microphone sound while a conversation is being saved. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { hearing } from "../../src/features/conversation/state.ts";
import { Sound } from "../../src/shared/sound/sound.ts";
import {
  FakeContext,
  FakeNode,
  FakeSocket,
  FakeStream,
  installed,
  microphones,
} from "../equipment.ts";
import { connection, failure, Scene, saved, session } from "../scene.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the microphone", () => {
  it("is for the agent once the conversation goes, not before", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    expect(hearing(scene.state)).toBe("no");

    expect(hearing(scene.talking().state)).toBe("now");
  });

  it("is kept for later while the conversation is saved, until that has failed", () => {
    const scene = new Scene().talking();
    scene.send({ type: "newChat", key: "key-2" });
    expect(hearing(scene.state)).toBe("later");

    scene.answer({ type: "requestFailed", failure: failure("server") });

    expect(hearing(scene.state)).toBe("now");
  });

  it("is nobody's once the conversation is saved, or over meanwhile", () => {
    const scene = new Scene().talking();
    scene.send({ type: "end", key: "key-2" });
    scene.answer({ type: "chatSaved", saved: saved("ses_1") });
    expect(hearing(scene.state)).toBe("no");

    const other = new Scene().talking();
    other.send({ type: "newChat", key: "key-2" });
    other.update({ status: "ENDING", version: 9 });
    expect(hearing(other.state)).toBe("no");
    other.answer({
      type: "chatStarted",
      saved: saved("ses_1"),
      session: session("ses_2"),
      connection: connection("token-2"),
    });
    expect(hearing(other.state)).toBe("no");
  });
});

describe("what is heard while a conversation is saved", () => {
  /** A page on VoxQL's own line; `speaks` delivers a microphone block, by default 20 ms. */
  async function talking() {
    const sound = new Sound({
      microphoneAsked() {},
      microphoneOn() {},
      microphoneFailed() {},
      silenced() {},
    });
    const told = { connected() {}, interrupted() {}, lost() {} };
    sound.openLine(connection("token"), "https://voxql.test", told);
    const [socket] = FakeSocket.all;
    socket?.open();
    void sound.openMicrophone();
    microphones[0]?.resolve(new FakeStream());
    await vi.advanceTimersByTimeAsync(0);
    FakeContext.last.module.resolve();
    await vi.advanceTimersByTimeAsync(0);
    sound.hearing = "now";
    const speaks = (size = 640) => {
      const pcm = new ArrayBuffer(size);
      FakeNode.all.at(-1)?.port.onmessage?.({ data: { pcm, level: 0.5 } });
      return pcm;
    };
    return { sound, speaks, heard: () => socket?.sound ?? [] };
  }

  it("goes to the agent, in order, when that has failed", async () => {
    const { sound, speaks, heard } = await talking();
    const before = speaks();
    sound.hearing = "later";
    const meanwhile = [speaks(), speaks()];
    expect(heard()).toEqual([before]);

    sound.hearing = "now";
    const after = speaks();

    expect(heard()).toEqual([before, ...meanwhile, after]);
    expect(heard()[1]).toBe(meanwhile[0]);
  });

  it("is dropped when it is saved", async () => {
    const { sound, speaks, heard } = await talking();
    sound.hearing = "later";
    speaks();

    sound.hearing = "no";
    sound.hearing = "now";
    const next = speaks(320);

    expect(heard()).toEqual([next]);
  });

  it("is dropped with the line", async () => {
    const { sound, speaks } = await talking();
    sound.hearing = "later";
    speaks();

    sound.closeLine();
    const told = { connected() {}, interrupted() {}, lost() {} };
    sound.openLine(connection("token-2"), "https://voxql.test", told);
    FakeSocket.all[1]?.open();
    sound.hearing = "now";
    const next = speaks(320);

    expect(FakeSocket.all[1]?.sound).toEqual([next]);
  });

  it("is kept for the newest 30 s", async () => {
    const { sound, speaks, heard } = await talking();
    sound.hearing = "later";
    const seconds = Array.from({ length: 35 }, () => speaks(32_000));

    sound.hearing = "now";
    speaks(0);

    expect(heard()).toHaveLength(31);
    expect(heard()[0]).toBe(seconds[5]);
  });
});
