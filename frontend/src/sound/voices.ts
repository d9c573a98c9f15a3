/** The agent's voice where the browser plays it by itself: heard, and measured. */
import type { RemoteTrack } from "livekit-client";
import { resumeWithGesture } from "./gesture.ts";
import { loudness } from "./resample.ts";

/** As often as the loudspeaker of the other line tells its level. */
const MEASURED_EVERY_MS = 80;

export class Voices {
  readonly #tell: (level: number) => void;
  readonly #sources = new Map<RemoteTrack, MediaStreamAudioSourceNode>();
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples = new Float32Array(this.#analyser.fftSize);
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(tell: (level: number) => void) {
    this.#tell = tell;
    this.#timer = setInterval(() => this.#measure(), MEASURED_EVERY_MS);
    resumeWithGesture(this.#context);
  }

  add(track: RemoteTrack): void {
    // Chromium hands sound to an analyser only while an element plays it.
    document.body.append(track.attach());
    const source = this.#context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
    source.connect(this.#analyser);
    this.#sources.set(track, source);
  }

  remove(track: RemoteTrack): void {
    for (const element of track.detach()) element.remove();
    this.#sources.get(track)?.disconnect();
    this.#sources.delete(track);
  }

  unlock(): void {
    void this.#context.resume();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const track of [...this.#sources.keys()]) this.remove(track);
    void this.#context.close();
    this.#tell(0);
  }

  #measure(): void {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    this.#tell(loudness(this.#samples));
  }
}
