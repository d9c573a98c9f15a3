/** The line for sound: docs/audio-protocol.md, the person's side. */

/** Bytes of 30 s of microphone: what a server takes as a burst, and what we hold back for one. */
const MOST_HELD = 30 * 32_000;
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
  close(): void;
}

export interface LinkOptions {
  /** Sound that an earlier line could not take. */
  waiting?: Held;
  /** Whether `played` will be called; the agent waits for it then. */
  reportsPlayed?: boolean;
}

export function openLink(
  url: string,
  token: string,
  listener: LinkListener,
  { waiting = new Held(), reportsPlayed = true }: LinkOptions = {},
): Link {
  const socket = new WebSocket(url, "voxql.audio.v1");
  socket.binaryType = "arraybuffer";
  let isUp = false;
  const patience = setTimeout(() => socket.close(), WELCOME_WITHIN_MS);

  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token, reportsPlayed }));
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data !== "string") return listener.sound(data);
    const frame = JSON.parse(data) as { type: string; playout: string };
    switch (frame.type) {
      case "welcome":
        clearTimeout(patience);
        isUp = true;
        listener.connected();
        for (const pcm of waiting.takeAll()) socket.send(pcm);
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
    clearTimeout(patience);
    isUp = false;
    listener.lost(code, !NOT_TERMINAL.has(code));
  };

  // A socket that the other side has closed says so a moment later than it stops taking anything.
  const takes = () => isUp && socket.readyState === WebSocket.OPEN;
  return {
    send(pcm) {
      if (takes() && socket.bufferedAmount < MOST_HELD) socket.send(pcm);
      else waiting.add(pcm);
    },
    played(id, samples) {
      if (takes()) socket.send(JSON.stringify({ type: "played", playout: id, samples }));
    },
    close() {
      clearTimeout(patience);
      socket.onclose = null;
      socket.onmessage = null;
      socket.close(1000);
    },
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
