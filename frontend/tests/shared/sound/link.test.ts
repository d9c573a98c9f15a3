/** The line that carries sound, and what waits for it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Held, openLink } from "../../../src/shared/sound/link.ts";
import { FakeSocket, installed } from "../../equipment.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
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
