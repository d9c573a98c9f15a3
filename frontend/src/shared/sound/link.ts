/** The line for sound: docs/audio-protocol.md, the person's side. */
import { BROKEN } from "./line.ts";

/** Bytes of 30 s of microphone: what a server takes as a burst, and what we hold back for one. */
const MOST_HELD = 30 * 32_000;
/** What the browser may hold for the network, 1 s; what it holds when a line breaks is lost. */
const MOST_BUFFERED = 32_000;
/** Sound of 5 s during which the network has taken nothing: nobody is there any more. */
const STUCK_AFTER = 5 * 32_000;
const WELCOME_WITHIN_MS = 10_000;
const NOT_TERMINAL = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 4408, 4429]);

export interface LinkListener {
  connected(): void;
  /** Not called after `close()`. */
  lost(code: number, isTerminal: boolean): void;
  begin(id: string): void;
  sound(pcm: ArrayBuffer): void;
  end(id: string): void;
  clear(id: string): void;
}

export interface Link {
  /** Sends PCM; while the line is not up the newest 30 s wait. */
  send(pcm: ArrayBuffer): void;
  played(id: string, samples: number): void;
  /** Takes it for lost: a path that has died says nothing itself. */
  lose(): void;
  close(): void;
}

export interface LinkOptions {
  /** Sound that an earlier line could not take. */
  waiting?: Held;
  /** Whether `played` will be called; the agent waits for it then. Asked when it is told. */
  reportsPlayed?: () => boolean;
}

export function openLink(
  url: string,
  token: string,
  listener: LinkListener,
  { waiting = new Held(), reportsPlayed = () => true }: LinkOptions = {},
): Link {
  const socket = new WebSocket(url, "voxql.audio.v1");
  socket.binaryType = "arraybuffer";
  let isUp = false;
  let isOver = false;
  /** Bytes that the browser held after the last block. */
  let buffered = 0;
  /** Bytes heard since the network took some of them. */
  let stuck = 0;
  const shut = () => {
    clearTimeout(patience);
    isOver = true;
    isUp = false;
    socket.onopen = null;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close(1000);
  };
  // Not by `onclose`, which waits for an answer of the other side, for up to a minute.
  const lose = () => {
    if (isOver) return;
    shut();
    listener.lost(BROKEN, false);
  };
  const patience = setTimeout(lose, WELCOME_WITHIN_MS);
  // A socket that the other side has closed says so a moment later than it stops taking anything.
  const takes = () => isUp && socket.readyState === WebSocket.OPEN;

  socket.onopen = () =>
    socket.send(JSON.stringify({ type: "hello", token, reportsPlayed: reportsPlayed() }));
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data !== "string") return listener.sound(data);
    const frame = JSON.parse(data) as { type: string; playout: string };
    switch (frame.type) {
      case "welcome":
        clearTimeout(patience);
        isUp = true;
        listener.connected();
        // It may be closed already when its welcome is read.
        if (takes()) for (const pcm of waiting.takeAll()) socket.send(pcm);
        buffered = socket.bufferedAmount;
        return;
      case "begin":
        return listener.begin(frame.playout);
      case "end":
        return listener.end(frame.playout);
      case "clear":
        return listener.clear(frame.playout);
    }
  };
  socket.onclose = ({ code }) => {
    shut();
    listener.lost(code, !NOT_TERMINAL.has(code));
  };

  return {
    send(pcm) {
      waiting.add(pcm);
      if (!takes()) return;
      stuck = buffered > 0 && socket.bufferedAmount >= buffered ? stuck + pcm.byteLength : 0;
      while (socket.bufferedAmount < MOST_BUFFERED) {
        const next = waiting.take();
        if (next === undefined) break;
        socket.send(next);
      }
      buffered = socket.bufferedAmount;
      if (stuck > STUCK_AFTER) lose();
    },
    played(id, samples) {
      if (takes()) socket.send(JSON.stringify({ type: "played", playout: id, samples }));
    },
    lose,
    close: shut,
  };
}

/** The newest 30 s of sound that could not be sent yet. */
export class Held {
  #blocks: ArrayBuffer[] = [];
  #size = 0;

  add(pcm: ArrayBuffer): void {
    this.#blocks.push(pcm);
    this.#size += pcm.byteLength;
    while (this.#size > MOST_HELD) this.#size -= this.#blocks.shift()?.byteLength ?? 0;
  }

  /** The oldest. */
  take(): ArrayBuffer | undefined {
    const block = this.#blocks.shift();
    this.#size -= block?.byteLength ?? 0;
    return block;
  }

  takeAll(): ArrayBuffer[] {
    const blocks = this.#blocks;
    this.clear();
    return blocks;
  }

  clear(): void {
    this.#blocks = [];
    this.#size = 0;
  }
}
