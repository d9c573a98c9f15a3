/** The audio line of docs/audio-protocol.md, the person's side. */
import { BROKEN } from "./line.ts";

/** 30 s of microphone audio in bytes: the server accepts this as a burst, so we buffer as much. */
const MOST_HELD = 30 * 32_000;
/** Most audio in the browser's send buffer, 1 s; the buffer is lost if the line breaks. */
const MOST_BUFFERED = 32_000;
/** If the network takes nothing during 5 s of audio, nobody is there any more. */
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
  /** Sends PCM; while the line is down, keeps the newest 30 s. */
  send(pcm: ArrayBuffer): void;
  played(id: string, samples: number): void;
  /** Treats the link as lost: a dead path does not report that itself. */
  lose(): void;
  close(): void;
}

export interface LinkOptions {
  /** Audio that an earlier line could not send. */
  waiting?: Held;
  /** Whether `played` will be called, which the agent then waits for; evaluated for `hello`. */
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
  /** The browser's buffered bytes after the last block. */
  let buffered = 0;
  /** Bytes recorded since the network last took some. */
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
  // Don't wait for `onclose`, which may wait up to a minute for the other side's answer.
  const lose = () => {
    if (isOver) return;
    shut();
    listener.lost(BROKEN, false);
  };
  const patience = setTimeout(lose, WELCOME_WITHIN_MS);
  // A socket closed by the other side stops accepting data a moment before `onclose`.
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
        // The socket may already be closed when its welcome is read.
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

/** The newest 30 s of audio that could not be sent yet. */
export class Held {
  #blocks: ArrayBuffer[] = [];
  #size = 0;

  add(pcm: ArrayBuffer): void {
    this.#blocks.push(pcm);
    this.#size += pcm.byteLength;
    while (this.#size > MOST_HELD) this.#size -= this.#blocks.shift()?.byteLength ?? 0;
  }

  /** Removes and returns the oldest block. */
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
