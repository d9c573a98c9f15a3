/** A way for sound between this page and the agent. Which one it is, nobody else has to know. */

export interface LineListener {
  connected(): void;
  /** It is away, and comes back by itself: `connected` or `lost` follows. */
  interrupted(): void;
  /**
   * It is over. Not called after `close()`.
   *
   * @param code One of docs/audio-protocol.md's close codes, whatever the line is made of.
   */
  lost(code: number, isTerminal: boolean): void;
}

export interface Line {
  /** Takes the microphone's sound as 16 kHz PCM; for lines that carry that. */
  send(pcm: ArrayBuffer): void;
  /** Takes the microphone itself, null when there is none any more; for lines that carry tracks. */
  carry(microphone: MediaStreamTrack | null): void;
  /** Called within a click, in case the browser wanted one before it lets the agent be heard. */
  unlock(): void;
  /** How loud the agent is heard, from 0 to 1; for lines with a loudspeaker of their own. */
  setVolume(volume: number): void;
  close(): void;
}

export const UNAUTHENTICATED = 4401;
export const FENCED = 4409;
export const GOING_AWAY = 1001;
export const BROKEN = 1006;
export const RESTARTING = 1012;

/** A line whose program has yet to be fetched. */
export function openLater(open: () => Promise<Line>, failed: () => void): Line {
  let line: Line | null = null;
  let microphone: MediaStreamTrack | null = null;
  let volume = 1;
  let isClosed = false;
  open().then(
    (opened) => {
      if (isClosed) return opened.close();
      line = opened;
      opened.setVolume(volume);
      opened.carry(microphone);
    },
    () => isClosed || failed(),
  );
  return {
    send: (pcm) => line?.send(pcm),
    carry(track) {
      microphone = track;
      line?.carry(track);
    },
    unlock: () => line?.unlock(),
    setVolume(wanted) {
      volume = wanted;
      line?.setVolume(wanted);
    },
    close() {
      isClosed = true;
      line?.close();
    },
  };
}
