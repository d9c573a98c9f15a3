/** The loudspeaker: what the agent says, and the truth about how much of it was heard. */
import { resumeWithGesture } from "./gesture.ts";
import type { ToPlayback } from "./playback.worklet.ts";
import worklet from "./playback.worklet.ts?worker&url";
import type { Played } from "./playouts.ts";

const RATE = 24_000;

export interface SpeakerListener {
  played(id: string, samples: number): void;
  level(level: number): void;
  /** The browser waits for a click before it plays anything. */
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
  #waiting: ToPlayback[] = [];

  constructor(listener: SpeakerListener) {
    this.#listener = listener;
  }

  /** Pages that are not secure have no worklets: there, answers can only be read. */
  get isPossible(): boolean {
    return "audioWorklet" in AudioContext.prototype;
  }

  /** Makes sound possible; called within a click where there is one. */
  unlock(): void {
    if (!this.isPossible) return;
    if (this.#context) {
      void this.#context.resume();
      return;
    }
    const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    this.#context = context;
    context.onstatechange = () => this.#listener.silenced(context.state === "suspended");
    this.#listener.silenced(context.state === "suspended");
    resumeWithGesture(context);
    void this.#wire(context);
  }

  send(message: ToPlayback): void {
    if (!this.isPossible) return;
    if (message.do === "reset") this.#reported.clear();
    if (!this.#node) this.#waiting.push(message);
    else if (message.do === "sound") this.#node.port.postMessage(message, [message.pcm]);
    else this.#node.port.postMessage(message);
  }

  async #wire(context: AudioContext): Promise<void> {
    await context.audioWorklet.addModule(worklet);
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0 });
    node.port.onmessage = ({ data }: MessageEvent<Report>) => this.#take(data);
    node.connect(context.destination);
    this.#node = node;
    for (const message of this.#waiting.splice(0)) this.send(message);
  }

  #take({ played, level, isCut = false }: Report): void {
    if (level !== undefined) this.#listener.level(level);
    if (!played) return;
    if (isCut) return this.#report(played.id, played.samples);
    const late = this.#latencyS();
    // What was taken just now is heard only after this; at the end we wait for it.
    if (played.isDone) setTimeout(() => this.#report(played.id, played.samples), late * 1000);
    else this.#report(played.id, Math.max(0, played.samples - Math.round(late * RATE)));
  }

  /** Reports only ever grow. */
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
