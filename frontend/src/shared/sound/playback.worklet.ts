/** The playback worklet: plays without gaps, falls silent at once, reports what was played. */
import { Playouts } from "./playouts.ts";
import { loudness } from "./resample.ts";

/** Seconds between reports, well under the 250 ms that agents wait for one. */
const REPORT_S = 0.08;
/** Seconds of audio to buffer before a reply starts, which hides network jitter up to this. */
const HEAD_S = 0.06;

export type ToPlayback =
  | { do: "begin" | "end" | "clear"; id: string }
  | { do: "sound"; pcm: ArrayBuffer }
  | { do: "abandon" | "reset" };

class Playback extends AudioWorkletProcessor {
  readonly #playouts = new Playouts(HEAD_S * sampleRate);
  #sinceReport = 0;
  #wasLoud = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<ToPlayback>) => this.#obey(data);
  }

  #obey(message: ToPlayback): void {
    switch (message.do) {
      case "begin":
        return this.#playouts.begin(message.id);
      case "end":
        return this.#playouts.end(message.id);
      case "sound":
        return this.#playouts.add(new Int16Array(message.pcm));
      case "clear": {
        const played = this.#playouts.clear(message.id);
        if (played) this.port.postMessage({ played, isCut: true });
        return;
      }
      case "abandon":
        return this.#playouts.abandon();
      case "reset":
        return this.#playouts.reset();
    }
  }

  process(_: Float32Array[][], outputs: Float32Array[][]): boolean {
    const out = outputs[0]?.[0];
    if (!out) return true;
    for (const played of this.#playouts.fill(out)) this.port.postMessage({ played });
    this.#sinceReport += out.length / sampleRate;
    if (this.#sinceReport < REPORT_S) return true;
    this.#sinceReport = 0;
    const played = this.#playouts.current;
    const level = loudness(out);
    if (played || this.#wasLoud) this.port.postMessage({ played, level });
    this.#wasLoud = level > 0;
    return true;
  }
}

registerProcessor("playback", Playback);
