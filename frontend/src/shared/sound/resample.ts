/** Resamples the microphone's audio to the rate that agents expect. */

const TAPS = 16;
const PHASES = 64;

/**
 * Resamples a stream block by block with a windowed sinc.
 *
 * Its cut-off is 90 % of the lower of both Nyquist frequencies, to prevent aliasing.
 */
export class Resampler {
  readonly #step: number;
  readonly #reach: number;
  readonly #table: Float32Array;
  #held: Float32Array;
  #at: number;

  constructor(from: number, to: number) {
    this.#step = from / to;
    this.#reach = Math.ceil(TAPS * Math.max(1, this.#step));
    this.#table = kernel(this.#reach, 0.9 / Math.max(1, this.#step));
    this.#held = new Float32Array(this.#reach);
    this.#at = this.#reach;
  }

  /** Takes a block of any length; the result may be empty, the rest follows with the next block. */
  take(block: Float32Array): Float32Array {
    const held = new Float32Array(this.#held.length + block.length);
    held.set(this.#held);
    held.set(block, this.#held.length);
    const out: number[] = [];
    while (this.#at + this.#reach < held.length) {
      out.push(this.#sample(held, this.#at));
      this.#at += this.#step;
    }
    const done = Math.max(0, Math.floor(this.#at) - this.#reach);
    this.#held = held.slice(done);
    this.#at -= done;
    return Float32Array.from(out);
  }

  #sample(held: Float32Array, at: number): number {
    const whole = Math.floor(at);
    const phase = Math.round((at - whole) * PHASES);
    let sum = 0;
    for (let i = -this.#reach + 1; i <= this.#reach; i++) {
      const place = Math.abs(i * PHASES - phase);
      sum += (held[whole + i] ?? 0) * (this.#table[place] ?? 0);
    }
    return sum;
  }
}

/** Half of a symmetric kernel, `PHASES` values per sample; `cutoff` is a fraction of Nyquist. */
function kernel(reach: number, cutoff: number): Float32Array {
  const table = new Float32Array(reach * PHASES + 1);
  for (let i = 0; i < table.length; i++) {
    const x = i / PHASES;
    const angle = Math.PI * x * cutoff;
    const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / reach);
    table[i] = cutoff * sinc * window;
  }
  return table;
}

/** Converts samples between -1 and 1 to signed 16-bit samples. */
export function toPcm(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (sample) =>
    Math.round(Math.max(-1, Math.min(1, sample)) * 32_767),
  );
}

/** The root mean square level, from 0 to 1. */
export function loudness(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += (samples[i] ?? 0) ** 2;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}
