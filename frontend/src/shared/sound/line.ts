/** The audio line between this page and the agent; hides its transport from other code. */

export interface LineListener {
  connected(): void;
  /** The line reconnects by itself: `connected` or `lost` follows. */
  interrupted(): void;
  /**
   * The line has ended. Not called after `close()`.
   *
   * @param code A close code as in docs/audio-protocol.md, whatever the transport.
   */
  lost(code: number, isTerminal: boolean): void;
}

export interface Line {
  /** Sends the microphone's audio as 16 kHz PCM, on lines that carry PCM. */
  send(pcm: ArrayBuffer): void;
  /** Sets the microphone's track, null if there is none any more, on lines that carry tracks. */
  carry(microphone: MediaStreamTrack | null): void;
  /** Called within a click, in case the browser requires one before playback. */
  unlock(): void;
  /** Sets the agent's volume, from 0 to 1, on lines with their own loudspeaker. */
  setVolume(volume: number): void;
  close(): void;
}

export const UNAUTHENTICATED = 4401;
export const FENCED = 4409;
export const GOING_AWAY = 1001;
export const BROKEN = 1006;
export const RESTARTING = 1012;

/** A line whose code has yet to be loaded. */
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
