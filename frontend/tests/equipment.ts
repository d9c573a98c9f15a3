/** Fakes of the browser's audio, sockets and storage, as far as the page uses them. */
import { vi } from "vitest";

export class FakeSocket {
  static readonly OPEN = 1;
  static readonly all: FakeSocket[] = [];
  readyState = FakeSocket.OPEN;
  bufferedAmount = 0;
  /** Whether data gets through; otherwise it is buffered. */
  isAlive = true;
  sent: (string | ArrayBuffer)[] = [];
  onopen: (() => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  close = vi.fn();

  constructor() {
    FakeSocket.all.push(this);
  }

  send(message: string | ArrayBuffer): void {
    this.sent.push(message);
    if (!this.isAlive)
      this.bufferedAmount += typeof message === "string" ? message.length : message.byteLength;
  }

  open(): void {
    this.onopen?.();
    this.onmessage?.({ data: JSON.stringify({ type: "welcome" }) });
  }

  get sound(): ArrayBuffer[] {
    return this.sent.filter((message) => typeof message !== "string");
  }
}

/** Stands in for `localStorage` and `sessionStorage`. */
export class FakeStorage {
  readonly items = new Map<string, string>();
  getItem = (name: string) => this.items.get(name) ?? null;
  setItem = (name: string, value: string) => void this.items.set(name, value);
  removeItem = (name: string) => void this.items.delete(name);
}

/** Lets a test settle a promise. */
export interface Asked<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class FakeContext extends EventTarget {
  static readonly all: FakeContext[] = [];
  state = "running";
  destination = {};
  onstatechange: (() => void) | null = null;
  /** The pending fetch of the worklet module. */
  module: Asked<void> = { resolve() {}, reject() {} };
  audioWorklet = {
    addModule: () =>
      new Promise<void>((resolve, reject) => {
        this.module = { resolve, reject };
      }),
  };
  resume = vi.fn(async () => {});
  close = vi.fn(async () => {
    this.state = "closed";
  });
  currentTime = 0;
  createMediaStreamSource = () => ({ connect() {} });

  constructor() {
    super();
    FakeContext.all.push(this);
  }

  static get last(): FakeContext {
    const last = FakeContext.all.at(-1);
    if (!last) throw new Error("no context");
    return last;
  }
}
// Browsers define it on the prototype, where the loudspeaker looks for it.
Object.defineProperty(FakeContext.prototype, "audioWorklet", { writable: true, value: null });

export class FakeNode {
  static readonly all: FakeNode[] = [];
  port = { postMessage: vi.fn(), onmessage: null as ((event: { data: unknown }) => void) | null };
  connect = vi.fn((to: unknown) => to);

  constructor() {
    FakeNode.all.push(this);
  }
}

/** A gain node; `values` holds every gain it was set to, in order. */
export class FakeGain {
  static readonly all: FakeGain[] = [];
  readonly values: number[];
  gain = { setTargetAtTime: (value: number) => void this.values.push(value) };
  connect = vi.fn();

  constructor(_: unknown, { gain }: { gain: number }) {
    this.values = [gain];
    FakeGain.all.push(this);
  }
}

export class FakeTrack extends EventTarget {
  enabled = true;
  stop = vi.fn();
  clone = () => new FakeTrack();
}

export class FakeStream {
  readonly track = new FakeTrack();
  getTracks = () => [this.track];
  getAudioTracks = () => [this.track];
}

/** Every requested microphone, with its device id. */
export const microphones: (Asked<FakeStream> & { id: string | undefined })[] = [];

type Wanted = { audio: { deviceId?: { ideal: string } } };

const mediaDevices = {
  getUserMedia: ({ audio }: Wanted) =>
    new Promise<FakeStream>((resolve, reject) => {
      microphones.push({ id: audio.deviceId?.ideal, resolve, reject });
    }),
};

/** Replaces the browser's globals with the fakes; `vi.unstubAllGlobals` undoes that. */
export function installed(): void {
  for (const list of [FakeSocket.all, FakeContext.all, FakeNode.all, FakeGain.all, microphones])
    list.length = 0;
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal("AudioWorkletNode", FakeNode);
  vi.stubGlobal("GainNode", FakeGain);
  vi.stubGlobal("window", { isSecureContext: true });
  vi.stubGlobal("navigator", { mediaDevices });
}
