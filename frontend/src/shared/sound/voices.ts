/** Plays the agent's LiveKit tracks through media elements and measures their level. */
import type { RemoteTrack } from "livekit-client";
import { resumeWithGesture } from "./gesture.ts";
import { loudness } from "./resample.ts";

/** As often as the playback worklet reports its level. */
const MEASURED_EVERY_MS = 80;

export class Voices {
  readonly #tell: (level: number) => void;
  readonly #sources = new Map<RemoteTrack, MediaStreamAudioSourceNode>();
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples = new Float32Array(this.#analyser.fftSize);
  readonly #timer: ReturnType<typeof setInterval>;
  #volume = 1;

  constructor(tell: (level: number) => void) {
    this.#tell = tell;
    this.#timer = setInterval(() => this.#measure(), MEASURED_EVERY_MS);
    resumeWithGesture(this.#context);
  }

  add(track: RemoteTrack): void {
    // Chromium passes a track's audio to an analyser only while an element plays it.
    const element = track.attach();
    this.#adjust(element);
    // LiveKit's client resets `muted` whenever it starts to play.
    element.addEventListener("volumechange", () => this.#adjust(element));
    document.body.append(element);
    const source = this.#context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
    source.connect(this.#analyser);
    this.#sources.set(track, source);
  }

  remove(track: RemoteTrack): void {
    for (const element of track.detach()) element.remove();
    this.#sources.get(track)?.disconnect();
    this.#sources.delete(track);
  }

  /** Sets the volume; the measured level does not depend on it. */
  setVolume(volume: number): void {
    this.#volume = volume;
    for (const track of this.#sources.keys()) track.attachedElements.forEach(this.#adjust);
  }

  /** Some systems leave the volume to hardware keys and support only `muted`. */
  readonly #adjust = (element: HTMLMediaElement): void => {
    const isMuted = this.#volume === 0;
    if (element.volume !== this.#volume) element.volume = this.#volume;
    if (element.muted !== isMuted) element.muted = isMuted;
  };

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
