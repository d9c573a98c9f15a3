/** Everything that sounds: the line, the microphone and the loudspeaker, wired together. */
import type { Connection, MicrophoneProblem } from "../conversation/state.ts";
import { Held, type Link, openLink } from "./link.ts";
import { NoMicrophone, type OpenMicrophone, openMicrophone } from "./microphone.ts";
import { Speaker } from "./speaker.ts";

export interface SoundListener {
  microphoneOn(): void;
  microphoneFailed(problem: MicrophoneProblem): void;
  silenced(isSilenced: boolean): void;
}

export interface LineListener {
  connected(): void;
  lost(code: number, isTerminal: boolean): void;
}

/** How loud both sides are, from 0 to 1; read by whoever draws, as often as they like. */
export interface Levels {
  person: number;
  agent: number;
}

export class Sound {
  readonly levels: Levels = { person: 0, agent: 0 };
  readonly #listener: SoundListener;
  readonly #speaker: Speaker;
  readonly #held = new Held();
  #link: Link | null = null;
  #microphone: OpenMicrophone | null = null;
  #opening = 0;
  #isMuted = false;
  #isListening = false;
  #deviceId: string | null = null;

  constructor(listener: SoundListener) {
    this.#listener = listener;
    this.#speaker = new Speaker({
      played: (id, samples) => this.#link?.played(id, samples),
      level: (level) => {
        this.levels.agent = level;
      },
      silenced: (isSilenced) => listener.silenced(isSilenced),
    });
  }

  /** To be called within a click, which is what browsers want before a page makes sound. */
  unlock(): void {
    this.#speaker.unlock();
  }

  /** Whether what the microphone hears is for the agent; while it isn't, nothing is sent. */
  set isListening(isListening: boolean) {
    this.#isListening = isListening;
    if (!isListening) this.levels.person = 0;
  }

  openLine(url: string, token: string, listener: LineListener): void {
    this.#link?.close();
    this.#speaker.unlock();
    const speaker = this.#speaker;
    this.#link = openLink(
      url,
      token,
      {
        connected: () => listener.connected(),
        lost: (code, isTerminal) => {
          speaker.send({ do: "abandon" });
          listener.lost(code, isTerminal);
        },
        begin: (id) => speaker.send({ do: "begin", id }),
        sound: (pcm) => speaker.send({ do: "sound", pcm }),
        end: (id) => speaker.send({ do: "end", id }),
        clear: (id) => speaker.send({ do: "clear", id }),
      },
      { waiting: this.#held, reportsPlayed: speaker.isPossible },
    );
  }

  /** Falls silent, and forgets what could not be sent. */
  closeLine(): void {
    this.#link?.close();
    this.#link = null;
    this.#held.clear();
    this.#speaker.send({ do: "reset" });
    this.levels.agent = 0;
  }

  async openMicrophone(): Promise<void> {
    this.closeMicrophone();
    const opening = this.#opening;
    try {
      const microphone = await openMicrophone(this.#deviceId, {
        heard: (pcm, level) => this.#heard(pcm, level),
        unplugged: () => {
          this.closeMicrophone();
          this.#listener.microphoneFailed("unplugged");
        },
      });
      if (opening !== this.#opening) return microphone.close();
      microphone.setMuted(this.#isMuted);
      this.#microphone = microphone;
      this.#listener.microphoneOn();
    } catch (error) {
      if (opening !== this.#opening) return;
      this.#listener.microphoneFailed(error instanceof NoMicrophone ? error.problem : "failed");
    }
  }

  closeMicrophone(): void {
    this.#opening++;
    this.#microphone?.close();
    this.#microphone = null;
    this.levels.person = 0;
  }

  mute(isMuted: boolean): void {
    this.#isMuted = isMuted;
    this.#microphone?.setMuted(isMuted);
  }

  /** Hears with another microphone from now on. */
  choose(deviceId: string | null): void {
    this.#deviceId = deviceId;
    if (this.#microphone) void this.openMicrophone();
  }

  #heard(pcm: ArrayBuffer, level: number): void {
    this.levels.person = this.#isMuted ? 0 : level;
    if (this.#isListening) this.#link?.send(pcm);
  }
}

/** Where a line of this server's own goes: to the page's own origin, by whatever name it came. */
export function lineUrl(connection: Connection, origin: string): string {
  const { pathname } = new URL(connection.url);
  return new URL(pathname, origin).href.replace(/^http/, "ws");
}
