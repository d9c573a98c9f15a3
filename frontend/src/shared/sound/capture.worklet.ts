/** Delivers the microphone's audio as 16 kHz PCM, 40 ms at a time. */
import { loudness, Resampler, toPcm } from "./resample.ts";

const RATE = 16_000;
const SIZE = RATE / 25;

class Capture extends AudioWorkletProcessor {
  readonly #resampler = sampleRate === RATE ? null : new Resampler(sampleRate, RATE);
  readonly #block = new Float32Array(SIZE);
  #filled = 0;

  process(inputs: Float32Array[][]): boolean {
    const channel = inputs[0]?.[0];
    if (channel) this.#take(this.#resampler ? this.#resampler.take(channel) : channel);
    return true;
  }

  #take(samples: Float32Array): void {
    for (const sample of samples) {
      this.#block[this.#filled++] = sample;
      if (this.#filled < SIZE) continue;
      this.#filled = 0;
      const pcm = toPcm(this.#block).buffer;
      this.port.postMessage({ pcm, level: loudness(this.#block) }, [pcm]);
    }
  }
}

registerProcessor("capture", Capture);
