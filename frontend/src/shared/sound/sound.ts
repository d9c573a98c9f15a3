/** Wires the line, the microphone and the loudspeaker together. */
import type { Connection, Hearing, MicrophoneProblem } from "../../features/conversation/state.ts";
import { BROKEN, type Line, type LineListener, openLater } from "./line.ts";
import { Held, type Link, openLink } from "./link.ts";
import { isPrompting, NoMicrophone, type OpenMicrophone, openMicrophone } from "./microphone.ts";
import { Speaker } from "./speaker.ts";

export interface SoundListener {
  /** The microphone was requested; `isPrompting` if the browser prompts the person. */
  microphoneAsked(isPrompting: boolean): void;
  microphoneOn(): void;
  microphoneFailed(problem: MicrophoneProblem): void;
  silenced(isSilenced: boolean): void;
}

/** The levels of both sides, from 0 to 1; read for each rendered frame. */
export interface Levels {
  person: number;
  agent: number;
}

export class Sound {
  readonly levels: Levels = { person: 0, agent: 0 };
  readonly #listener: SoundListener;
  readonly #speaker: Speaker;
  /** Audio that the line could not send yet. */
  readonly #held = new Held();
  /** Audio recorded while it was undecided whether it is for the agent. */
  readonly #meanwhile = new Held();
  #line: Line | null = null;
  /** The line as a `Link`, if it is not a LiveKit room. */
  #link: Link | null = null;
  /** Whether the line has its own loudspeaker. */
  #isPlayedElsewhere = false;
  #microphone: OpenMicrophone | null = null;
  #opening = 0;
  /** Whether the microphone should be open, even if it is still being requested. */
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

  /** Call within a click, which browsers require before a page plays audio. */
  unlock(): void {
    this.#speaker.unlock();
    this.#line?.unlock();
  }

  /** Sets the agent's volume, from 0 to 1; what counts as played does not depend on it. */
  setVolume(volume: number): void {
    this.#volume = volume;
    this.#speaker.setVolume(volume);
    this.#line?.setVolume(volume);
  }

  /** Whether microphone input is for the agent. "later" buffers it until "now" sends it or "no"
   * drops it; a room, which takes the track itself, never receives it. */
  set hearing(hearing: Hearing) {
    if (hearing === this.#hearing) return;
    this.#hearing = hearing;
    this.#microphone?.hand(hearing === "now");
    if (hearing !== "now") this.levels.person = 0;
    if (hearing === "later") return;
    const meanwhile = this.#meanwhile.takeAll();
    // It is sent with the next block, like audio that waited for the line.
    if (hearing === "now") for (const pcm of meanwhile) this.#held.add(pcm);
  }

  /** Opens the line that the server names; `origin` is this page's origin. */
  openLine(connection: Connection, origin: string, listener: LineListener): void {
    this.#line?.close();
    this.#isPlayedElsewhere = connection.transport === "LIVEKIT";
    this.#line = this.#isPlayedElsewhere
      ? this.#openRoom(connection, listener)
      : this.#openLocal(lineUrl(connection, origin), connection.token, listener);
    this.#line.setVolume(this.#volume);
    this.#line.carry(this.#microphone?.track ?? null);
  }

  /** Gives up a dead line, which then reports `lost` like any other. */
  loseLine(): void {
    // A room detects that by itself.
    this.#link?.lose();
  }

  /** Falls silent and drops unsent audio. */
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

  /** Closes the open microphone; one that is still being requested will be ignored. */
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

  /** Switches to another microphone. */
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

  /** LiveKit's client is as large as the rest of the page, so it is only loaded when needed. */
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

/** The URL of this server's own line: always on the page's origin. */
export function lineUrl(connection: Connection, origin: string): string {
  const { pathname } = new URL(connection.url);
  return new URL(pathname, origin).href.replace(/^http/, "ws");
}
