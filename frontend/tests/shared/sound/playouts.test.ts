/** What is played, and what is reported of it. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Playouts } from "../../../src/shared/sound/playouts.ts";
import { installed } from "../../equipment.ts";

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
