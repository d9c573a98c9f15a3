/** The line through a LiveKit room. Ignores transcripts published there; they come over GraphQL. */
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
  /** The agent's level, from 0 to 1. */
  level(level: number): void;
  /** Whether the browser blocks playback until a click. */
  silenced(isSilenced: boolean): void;
}

/** What plays the agent; tests use a fake. */
export type Playing = Pick<Voices, "add" | "remove" | "unlock" | "setVolume" | "close">;

/** How long LiveKit's client may reconnect by itself; then we rejoin with a fresh token. */
export const REPAIR_MS = 15_000;
const LONGEST_PAUSE_MS = 2_000;
/** How long to wait until a present agent receives the microphone. */
const HEARD_WITHIN_MS = 3_000;

const NOT_FOUND = 404;

/** How a connection ended, in terms of the audio protocol. */
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

/** Maps LiveKit's disconnect reasons. The session's stream reports whether it has ended. */
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

/** Maps the error of a room that could not be joined. */
export function refusalOf(error: unknown): Loss {
  if (!(error instanceof ConnectionError)) return { code: BROKEN, isTerminal: false };
  if (error.reason === ConnectionErrorReason.NotAllowed)
    // If only the server creates rooms, a lost room is missing until the server has recreated it.
    return error.status === NOT_FOUND
      ? { code: GOING_AWAY, isTerminal: false }
      : { code: UNAUTHENTICATED, isTerminal: true };
  if (error.reason === ConnectionErrorReason.LeaveRequest)
    return lossOf(error.context as DisconnectReason);
  return { code: BROKEN, isTerminal: false };
}

const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

export function openRoom(url: string, token: string, listener: RoomListener): Line {
  // Log messages may contain the URL with the token.
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
  /** Publishing takes a while; this chain keeps it in order. */
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

  /** Joins the room; `connected` follows once a present agent receives the microphone. */
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
    // Don't stop the microphone: the next room uses it.
    void this.#room.disconnect(false).catch(() => {});
  }

  #left(reason: DisconnectReason | undefined): void {
    this.#reason = reason;
    // Until the room is joined, the error of `connect` is more precise.
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
    const received = new Promise<void>((resolve) => {
      this.#room.once(RoomEvent.LocalTrackSubscribed, () => resolve());
    });
    await localParticipant.publishTrack(wanted, { source: Track.Source.Microphone });
    // What is said before the agent receives the microphone is lost. Look for an agent only now: it
    // may have joined during the publishing.
    if (this.#hasAgent()) await Promise.race([received, pause(HEARD_WITHIN_MS)]);
  }

  #hasAgent(): boolean {
    return [...this.#room.remoteParticipants.values()].some((one) => one.isAgent);
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
