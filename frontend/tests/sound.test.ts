/** What happens to sound on its way in and out. */
import { describe, expect, it } from "vitest";

import { Held } from "../src/sound/link.ts";
import { Playouts } from "../src/sound/playouts.ts";
import { loudness, Resampler, toPcm } from "../src/sound/resample.ts";

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
