/** Everything that sounds: the line, the microphone and the loudspeaker, wired together. */
import type { Connection, Hearing, MicrophoneProblem } from "../../features/conversation/state.ts";
import { BROKEN, type Line, type LineListener, openLater } from "./line.ts";
import { Held, type Link, openLink } from "./link.ts";
import { isPrompting, NoMicrophone, type OpenMicrophone, openMicrophone } from "./microphone.ts";
import { Speaker } from "./speaker.ts";

export interface SoundListener {
  /** It is asked for; `isPrompting` if the browser asks the person. */
  microphoneAsked(isPrompting: boolean): void;
  microphoneOn(): void;
  microphoneFailed(problem: MicrophoneProblem): void;
  silenced(isSilenced: boolean): void;
}

/** How loud both sides are, from 0 to 1; read for each frame that is drawn. */
export interface Levels {
  person: number;
  agent: number;
}

export class Sound {
  readonly levels: Levels = { person: 0, agent: 0 };
  readonly #listener: SoundListener;
  readonly #speaker: Speaker;
  /** What the line could not take yet. */
  readonly #held = new Held();
  /** What was heard while it was not known whether it is for the agent. */
  readonly #meanwhile = new Held();
  #line: Line | null = null;
  /** The line's other name, where it is this server's own. */
  #link: Link | null = null;
  /** Set while the line has a loudspeaker of its own. */
  #isPlayedElsewhere = false;
  #microphone: OpenMicrophone | null = null;
  #opening = 0;
  /** Whether there is to be one, be it that it is still asked for. */
  #isWanted = false;
  #isMuted = false;
  #hearing: Hearing = "no";
  #deviceId: string | null = null;
  #volume = 1;

  constructor(listener: SoundListener) {
    this.#listener = listener;
    this.#speaker = new Speaker({
      played: (id, samples) => this.#link?.played(id, samples),
      level: (level) => {
        if (!this.#isPlayedElsewhere) this.levels.agent = level;
      },
      silenced: (isSilenced) => void (this.#isPlayedElsewhere || listener.silenced(isSilenced)),
    });
  }

  /** To be called within a click, which is what browsers want before a page makes sound. */
  unlock(): void {
    this.#speaker.unlock();
    this.#line?.unlock();
  }

  /** How loud the agent is heard, from 0 to 1; what counts as played does not depend on it. */
  setVolume(volume: number): void {
    this.#volume = volume;
    this.#speaker.setVolume(volume);
    this.#line?.setVolume(volume);
  }

  /** Whether what the microphone hears is for the agent. "later" waits for "now", which sends it,
   * or "no", which drops it; a room, which takes the microphone itself, hears nothing of it. */
  set hearing(hearing: Hearing) {
    if (hearing === this.#hearing) return;
    this.#hearing = hearing;
    this.#microphone?.hand(hearing === "now");
    if (hearing !== "now") this.levels.person = 0;
    if (hearing === "later") return;
    const meanwhile = this.#meanwhile.takeAll();
    // It goes with what is heard next, as what waited for the line does.
    if (hearing === "now") for (const pcm of meanwhile) this.#held.add(pcm);
  }

  /** Opens the line that the server names; `origin` is this page's own. */
  openLine(connection: Connection, origin: string, listener: LineListener): void {
    this.#line?.close();
    this.#isPlayedElsewhere = connection.transport === "LIVEKIT";
    this.#line = this.#isPlayedElsewhere
      ? this.#openRoom(connection, listener)
      : this.#openLocal(lineUrl(connection, origin), connection.token, listener);
    this.#line.setVolume(this.#volume);
    this.#line.carry(this.#microphone?.track ?? null);
  }

  /** Gives up a line on which nothing can arrive any more; it is `lost` then like any other. */
  loseLine(): void {
    // A room finds out by itself.
    this.#link?.lose();
  }

  /** Falls silent, and forgets what could not be sent. */
  closeLine(): void {
    this.#line?.close();
    this.#line = null;
    this.#link = null;
    this.#held.clear();
    this.#meanwhile.clear();
    this.#speaker.send({ do: "reset" });
    this.levels.agent = 0;
  }

  async openMicrophone(): Promise<void> {
    this.#dropMicrophone();
    this.#isWanted = true;
    const opening = this.#opening;
    this.#listener.microphoneAsked(false);
    void isPrompting().then((isIt) => {
      if (isIt && opening === this.#opening) this.#listener.microphoneAsked(true);
    });
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
      microphone.hand(this.#hearing === "now");
      this.#microphone = microphone;
      this.#line?.carry(microphone.track);
      this.#listener.microphoneOn();
    } catch (error) {
      if (opening !== this.#opening) return;
      this.#isWanted = false;
      this.#listener.microphoneFailed(error instanceof NoMicrophone ? error.problem : "failed");
    }
  }

  closeMicrophone(): void {
    this.#isWanted = false;
    this.#dropMicrophone();
  }

  /** Closes the one that is open; one that is still asked for is not taken when it comes. */
  #dropMicrophone(): void {
    this.#opening++;
    if (this.#microphone) this.#line?.carry(null);
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
    if (this.#isWanted) void this.openMicrophone();
  }

  #heard(pcm: ArrayBuffer, level: number): void {
    this.levels.person = this.#isMuted ? 0 : level;
    if (this.#hearing === "now") this.#line?.send(pcm);
    else if (this.#hearing === "later" && !this.#isPlayedElsewhere) this.#meanwhile.add(pcm);
  }

  #openLocal(url: string, token: string, listener: LineListener): Line {
    const speaker = this.#speaker;
    speaker.unlock();
    const link = openLink(
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
      { waiting: this.#held, reportsPlayed: () => speaker.isReady },
    );
    this.#link = link;
    return { send: link.send, carry() {}, unlock() {}, setVolume() {}, close: link.close };
  }

  /** LiveKit's client is as large as the rest of the page: who does not need it never gets it. */
  #openRoom({ url, token }: Connection, listener: LineListener): Line {
    const told = {
      connected: () => listener.connected(),
      interrupted: () => listener.interrupted(),
      lost: (code: number, isTerminal: boolean) => listener.lost(code, isTerminal),
      level: (level: number) => {
        this.levels.agent = level;
      },
      silenced: (isSilenced: boolean) => this.#listener.silenced(isSilenced),
    };
    return openLater(
      async () => (await import("./room.ts")).openRoom(url, token, told),
      () => listener.lost(BROKEN, false),
    );
  }
}

/** Where a line of this server's own goes: to the page's own origin, by whatever name it came. */
export function lineUrl(connection: Connection, origin: string): string {
  const { pathname } = new URL(connection.url);
  return new URL(pathname, origin).href.replace(/^http/, "ws");
}
