/** The line through a LiveKit room. Words come another way: what is published here is not read. */
import {
  ConnectionError,
  ConnectionErrorReason,
  ConnectionState,
  DisconnectReason,
  LogLevel,
  type ReconnectPolicy,
  type RemoteTrack,
  Room,
  RoomEvent,
  setLogLevel,
  Track,
} from "livekit-client";
import { onGesture } from "./gesture.ts";
import {
  BROKEN,
  FENCED,
  GOING_AWAY,
  type Line,
  type LineListener,
  RESTARTING,
  UNAUTHENTICATED,
} from "./line.ts";
import { Voices } from "./voices.ts";

export interface RoomListener extends LineListener {
  /** How loud the agent is, from 0 to 1. */
  level(level: number): void;
  /** The browser waits for a click before it plays anything. */
  silenced(isSilenced: boolean): void;
}

/** What plays the agent; a test has none. */
export type Playing = Pick<Voices, "add" | "remove" | "unlock" | "setVolume" | "close">;

/** How long LiveKit's client tries to go on by itself; then we join again, with a fresh token. */
export const REPAIR_MS = 15_000;
const LONGEST_PAUSE_MS = 2_000;
/** How long an agent that is there may take until it receives the microphone. */
const HEARD_WITHIN_MS = 3_000;

const NOT_FOUND = 404;

/** How a connection ended, as the other line would say it. */
export interface Loss {
  code: number;
  isTerminal: boolean;
}

const repairing: ReconnectPolicy = {
  nextRetryDelayInMs({ retryCount, elapsedMs }) {
    if (elapsedMs > REPAIR_MS) return null;
    return Math.min(LONGEST_PAUSE_MS, 250 * 2 ** retryCount) * (0.5 + Math.random() / 2);
  },
};

/** What LiveKit's reasons mean here. Whether the conversation is over, its own stream tells. */
export function lossOf(reason: DisconnectReason | undefined): Loss {
  switch (reason) {
    case DisconnectReason.DUPLICATE_IDENTITY:
      return { code: FENCED, isTerminal: true };
    case DisconnectReason.SERVER_SHUTDOWN:
    case DisconnectReason.MIGRATION:
      return { code: RESTARTING, isTerminal: false };
    case DisconnectReason.CLIENT_INITIATED:
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
    case DisconnectReason.PARTICIPANT_REMOVED:
      return { code: GOING_AWAY, isTerminal: false };
    default:
      return { code: BROKEN, isTerminal: false };
  }
}

/** Why a room could not be entered. */
export function refusalOf(error: unknown): Loss {
  if (!(error instanceof ConnectionError)) return { code: BROKEN, isTerminal: false };
  if (error.reason === ConnectionErrorReason.NotAllowed)
    // Where only the server makes rooms, one that was lost is not there until it has made it again.
    return error.status === NOT_FOUND
      ? { code: GOING_AWAY, isTerminal: false }
      : { code: UNAUTHENTICATED, isTerminal: true };
  if (error.reason === ConnectionErrorReason.LeaveRequest)
    return lossOf(error.context as DisconnectReason);
  return { code: BROKEN, isTerminal: false };
}

export function openRoom(url: string, token: string, listener: RoomListener): Line {
  // Its messages may hold the address with the token in it.
  setLogLevel(LogLevel.silent);
  const room = new Room({ reconnectPolicy: repairing, stopLocalTrackOnUnpublish: false });
  const voices = new Voices((level) => listener.level(level));
  const line = new RoomLine(room, voices, listener);
  void line.join(url, token);
  return line;
}

export class RoomLine implements Line {
  readonly #room: Room;
  readonly #voices: Playing;
  readonly #listener: RoomListener;
  #isIn = false;
  #isOver = false;
  #microphone: MediaStreamTrack | null = null;
  #published: MediaStreamTrack | null = null;
  /** Publishing takes a while; one after the other. */
  #publishing: Promise<void> = Promise.resolve();
  #reason: DisconnectReason | undefined;
  #stopAsking = () => {};

  constructor(room: Room, voices: Playing, listener: RoomListener) {
    this.#room = room;
    this.#voices = voices;
    this.#listener = listener;
    const whileIn = (act: () => void) => () => void (this.#isIn && !this.#isOver && act());
    room
      .on(RoomEvent.SignalReconnecting, whileIn(listener.interrupted))
      .on(RoomEvent.Reconnecting, whileIn(listener.interrupted))
      .on(RoomEvent.Reconnected, whileIn(listener.connected))
      .on(RoomEvent.Disconnected, (reason) => this.#left(reason))
      .on(RoomEvent.TrackSubscribed, (track) => this.#play(track))
      .on(RoomEvent.TrackUnsubscribed, (track) => this.#fallSilent(track))
      .on(RoomEvent.AudioPlaybackStatusChanged, () => this.#tellSilenced());
  }

  /** Enters the room; `connected` comes when what is said is received there as well. */
  async join(url: string, token: string): Promise<void> {
    try {
      await this.#room.connect(url, token, { maxRetries: 0 });
    } catch (error) {
      return this.#end(refusalOf(error));
    }
    if (this.#isOver) return;
    if (this.#room.state === ConnectionState.Disconnected) return this.#end(lossOf(this.#reason));
    this.#isIn = true;
    await this.#publish();
    if (this.#isOver) return;
    this.#listener.connected();
    this.#tellSilenced();
  }

  send(): void {}

  carry(microphone: MediaStreamTrack | null): void {
    this.#microphone = microphone;
    if (this.#isIn) void this.#publish();
  }

  unlock(): void {
    this.#voices.unlock();
    if (!this.#room.canPlaybackAudio) void this.#room.startAudio().catch(() => {});
  }

  setVolume(volume: number): void {
    this.#voices.setVolume(volume);
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopAsking();
    this.#voices.close();
    // The microphone is not the room's: it goes on for the next one.
    void this.#room.disconnect(false).catch(() => {});
  }

  #left(reason: DisconnectReason | undefined): void {
    this.#reason = reason;
    // Before that, `connect` tells it better.
    if (this.#isIn) this.#end(lossOf(reason));
  }

  #end({ code, isTerminal }: Loss): void {
    if (this.#isOver) return;
    this.close();
    this.#listener.lost(code, isTerminal);
  }

  #publish(): Promise<void> {
    this.#publishing = this.#publishing
      .then(() => this.#exchange())
      .catch(() => this.#end({ code: BROKEN, isTerminal: false }));
    return this.#publishing;
  }

  async #exchange(): Promise<void> {
    const [wanted, published] = [this.#microphone, this.#published];
    if (this.#isOver || wanted === published) return;
    const { localParticipant } = this.#room;
    if (published) {
      this.#published = null;
      await localParticipant.unpublishTrack(published, false);
    }
    if (wanted === null || this.#isOver) return;
    this.#published = wanted;
    const received = this.#received();
    await localParticipant.publishTrack(wanted, { source: Track.Source.Microphone });
    await received;
  }

  /** Waits until an agent that is there hears the microphone; words before that would be lost. */
  #received(): Promise<void> {
    const agents = [...this.#room.remoteParticipants.values()].filter((one) => one.isAgent);
    if (agents.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, HEARD_WITHIN_MS);
      this.#room.once(RoomEvent.LocalTrackSubscribed, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #play(track: RemoteTrack): void {
    if (track.kind === Track.Kind.Audio && !this.#isOver) this.#voices.add(track);
  }

  #fallSilent(track: RemoteTrack): void {
    if (track.kind === Track.Kind.Audio) this.#voices.remove(track);
  }

  #tellSilenced(): void {
    if (this.#isOver) return;
    const isSilenced = !this.#room.canPlaybackAudio;
    this.#stopAsking();
    this.#stopAsking = isSilenced ? onGesture(() => this.unlock()) : () => {};
    this.#listener.silenced(isSilenced);
  }
}
