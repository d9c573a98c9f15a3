/** The loudspeaker: plays the agent's audio and reports how much of it was really heard. */
import { resumeWithGesture } from "./gesture.ts";
import type { ToPlayback } from "./playback.worklet.ts";
import worklet from "./playback.worklet.ts?worker&url";
import type { Played } from "./playouts.ts";

const RATE = 24_000;
/** 5 s in bytes: a reply that starts later than that is no answer any more. */
const MOST_WAITING = 5 * 2 * RATE;
const LONGEST_PAUSE_MS = 10_000;
/** A sudden change of volume would be audible as a click. */
const FADE_S = 0.015;

export interface SpeakerListener {
  played(id: string, samples: number): void;
  level(level: number): void;
  /** Whether the browser blocks playback until a click. */
  silenced(isSilenced: boolean): void;
}

interface Report {
  played: Played | null;
  level?: number;
  isCut?: boolean;
}

export class Speaker {
  readonly #listener: SpeakerListener;
  readonly #reported = new Map<string, number>();
  #context: AudioContext | null = null;
  #node: AudioWorkletNode | null = null;
  #gain: GainNode | null = null;
  #volume = 1;
  #waiting: ToPlayback[] = [];
  #waitingBytes = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #isNeeded = false;

  constructor(listener: SpeakerListener) {
    this.#listener = listener;
  }

  /** Insecure pages have no worklets: there, answers can only be read. */
  get isPossible(): boolean {
    return "audioWorklet" in AudioContext.prototype;
  }

  /** Whether reports can be promised. Without a promise, they may still come a moment later. */
  get isReady(): boolean {
    return this.#node !== null && this.#context?.state === "running";
  }

  /** Enables playback; called within a click if there is one. */
  unlock(): void {
    if (!this.isPossible) return;
    this.#isNeeded = true;
    if (this.#context) void this.#context.resume().catch(() => {});
    else this.#open();
  }

  /** Sets the volume, from 0 to 1. Even at 0, it plays and reports what was played. */
  setVolume(volume: number): void {
    this.#volume = volume;
    if (this.#context) this.#gain?.gain.setTargetAtTime(volume, this.#context.currentTime, FADE_S);
  }

  send(message: ToPlayback): void {
    if (message.do === "reset") this.#reset();
    if (this.#node === null) this.#wait(message);
    else if (message.do === "sound") this.#node.port.postMessage(message, [message.pcm]);
    else this.#node.port.postMessage(message);
  }

  #open(): void {
    clearTimeout(this.#retry);
    const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.#context = context;
    resumeWithGesture(context);
    this.#wire(context).catch(() => this.#openLater(context));
  }

  async #wire(context: AudioContext): Promise<void> {
    await context.audioWorklet.addModule(worklet);
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0 });
    node.port.onmessage = ({ data }: MessageEvent<Report>) => this.#take(data);
    this.#gain = new GainNode(context, { gain: this.#volume });
    node.connect(this.#gain).connect(context.destination);
    this.#node = node;
    this.#tries = 0;
    for (const message of this.#takeWaiting()) this.send(message);
    // Report only now: each context starts suspended, and there may have been several.
    const tell = () => this.#listener.silenced(context.state === "suspended");
    context.onstatechange = tell;
    tell();
  }

  /** The worklet failed to load. A context remembers that, so the retry uses a new one. */
  #openLater(context: AudioContext): void {
    void context.close().catch(() => {});
    this.#context = null;
    this.#takeWaiting();
    if (!this.#isNeeded) return;
    const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** this.#tries++);
    this.#retry = setTimeout(() => this.#open(), pause);
  }

  /** Queues messages while the worklet loads; if the queue is dropped, so is the whole reply. */
  #wait(message: ToPlayback): void {
    if (this.#context === null || message.do === "reset") return;
    this.#waiting.push(message);
    if (message.do === "sound") this.#waitingBytes += message.pcm.byteLength;
    if (this.#waitingBytes > MOST_WAITING) this.#takeWaiting();
  }

  #takeWaiting(): ToPlayback[] {
    this.#waitingBytes = 0;
    return this.#waiting.splice(0);
  }

  /** The line is closed; the next one opens the loudspeaker again if it is missing. */
  #reset(): void {
    this.#isNeeded = false;
    clearTimeout(this.#retry);
    this.#reported.clear();
    this.#takeWaiting();
  }

  #take({ played, level, isCut = false }: Report): void {
    if (level !== undefined) this.#listener.level(level);
    if (!played) return;
    if (isCut) return this.#report(played.id, played.samples);
    const late = this.#latencyS();
    // Audio taken now is heard only after this latency; at a reply's end, wait for it.
    if (played.isDone) setTimeout(() => this.#report(played.id, played.samples), late * 1000);
    else this.#report(played.id, Math.max(0, played.samples - Math.round(late * RATE)));
  }

  /** Reports the count only if it has grown. */
  #report(id: string, samples: number): void {
    if (samples <= (this.#reported.get(id) ?? -1)) return;
    this.#reported.set(id, samples);
    this.#listener.played(id, samples);
  }

  #latencyS(): number {
    const { baseLatency = 0, outputLatency = 0 } = this.#context ?? {};
    return Math.min(0.5, baseLatency + outputLatency);
  }
}
