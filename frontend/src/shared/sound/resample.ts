/** Brings the microphone's sound to the rate that agents expect. */

const TAPS = 16;
const PHASES = 64;

/**
 * Converts a stream of samples from one rate to another by a windowed sinc, block by block.
 *
 * Its cut-off lies at 90 % of the lower of both Nyquist frequencies, so that what can't be
 * represented is not folded into what can.
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

  /** Takes a block of any length; what it returns may be empty, the rest comes with the next. */
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

/** Half of a symmetric kernel, `PHASES` values a sample; `cutoff` is a share of Nyquist's. */
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

/** Signed 16-bit samples of what is between -1 and 1. */
export function toPcm(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (sample) =>
    Math.round(Math.max(-1, Math.min(1, sample)) * 32_767),
  );
}

/** How loud it is, from 0 to 1: the root of the mean square. */
export function loudness(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += (samples[i] ?? 0) ** 2;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}
