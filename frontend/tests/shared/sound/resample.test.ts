/** Samples for the wire. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { loudness, Resampler, toPcm } from "../../../src/shared/sound/resample.ts";
import { installed } from "../../equipment.ts";

beforeEach(() => {
  vi.useFakeTimers();
  installed();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
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
