/** The line through a LiveKit room, and how it reports room events to the conversation. */
import { EventEmitter } from "node:events";
import {
  ConnectionError,
  ConnectionState,
  DisconnectReason,
  type Room,
  RoomEvent,
  Track,
} from "livekit-client";
import { describe, expect, it, vi } from "vitest";

import { type Line, openLater } from "../../src/shared/sound/line.ts";
import { lossOf, RoomLine, refusalOf } from "../../src/shared/sound/room.ts";

/** LiveKit's client, as far as the line uses it. */
class FakeRoom extends EventEmitter {
  state = ConnectionState.Disconnected;
  canPlaybackAudio = true;
  remoteParticipants = new Map<string, { isAgent: boolean }>();
  published: MediaStreamTrack[] = [];
  refusal: unknown = null;
  publishingFails = false;
  connect = vi.fn(async () => {
    if (this.refusal) {
      this.emit(RoomEvent.Disconnected, DisconnectReason.UNKNOWN_REASON);
      throw this.refusal;
    }
    this.state = ConnectionState.Connected;
  });
  disconnect = vi.fn(async (_stopTracks: boolean) => {
    this.emit(RoomEvent.Disconnected, DisconnectReason.CLIENT_INITIATED);
  });
  startAudio = vi.fn(async () => {});
  localParticipant = {
    publishTrack: async (track: MediaStreamTrack) => {
      if (this.publishingFails) throw new Error("not published");
      this.published.push(track);
    },
    unpublishTrack: async (gone: MediaStreamTrack) => {
      this.published = this.published.filter((track) => track !== gone);
    },
  };
}

const microphone = () => ({ kind: "audio" }) as MediaStreamTrack;

function scene() {
  const room = new FakeRoom();
  const heard: string[] = [];
  const voices = {
    add: vi.fn(),
    remove: vi.fn(),
    unlock: vi.fn(),
    setVolume: vi.fn(),
    close: vi.fn(),
  };
  const line = new RoomLine(room as unknown as Room, voices, {
    connected: () => heard.push("connected"),
    interrupted: () => heard.push("interrupted"),
    lost: (code, isTerminal) => heard.push(`lost ${code}${isTerminal ? " for good" : ""}`),
    level: () => {},
    silenced: (isSilenced) => heard.push(isSilenced ? "silenced" : "audible"),
  });
  return { room, line, voices, heard, join: () => line.join("ws://livekit", "token") };
}

describe("the end of a room", () => {
  it.each([
    ["a second window", DisconnectReason.DUPLICATE_IDENTITY, 4409, true],
    ["a server that stops", DisconnectReason.SERVER_SHUTDOWN, 1012, false],
    ["a node that is emptied", DisconnectReason.MIGRATION, 1012, false],
    ["a room that was deleted", DisconnectReason.ROOM_DELETED, 1001, false],
    ["a room that was closed", DisconnectReason.ROOM_CLOSED, 1001, false],
    ["somebody who was sent out", DisconnectReason.PARTICIPANT_REMOVED, 1001, false],
    ["a page that is put to sleep", DisconnectReason.CLIENT_INITIATED, 1001, false],
    ["a network that is gone", DisconnectReason.SIGNAL_CLOSE, 1006, false],
    ["a join that failed", DisconnectReason.JOIN_FAILURE, 1006, false],
    ["something unknown", undefined, 1006, false],
  ])("by %s is told in the words of the other line", (_, reason, code, isTerminal) => {
    expect(lossOf(reason)).toEqual({ code, isTerminal });
  });

  it.each([
    ["an old token", ConnectionError.notAllowed("expired", 401), 4401, true],
    [
      "a room that is not there yet",
      ConnectionError.notAllowed("requested room does not exist", 404),
      1001,
      false,
    ],
    ["no server", ConnectionError.serverUnreachable("nobody there"), 1006, false],
    [
      "a second window",
      ConnectionError.leaveRequest("left", DisconnectReason.DUPLICATE_IDENTITY),
      4409,
      true,
    ],
    ["a browser without WebRTC", new Error("not supported"), 1006, false],
  ])("before it began, by %s", (_, error, code, isTerminal) => {
    expect(refusalOf(error)).toEqual({ code, isTerminal });
  });
});

describe("a line through a room", () => {
  it("is connected when the microphone is published, and plays at once", async () => {
    const { room, line, heard, join } = scene();
    const track = microphone();
    line.carry(track);
    await join();
    expect(room.published).toEqual([track]);
    expect(heard).toEqual(["connected", "audible"]);
  });

  it("waits until an agent that is there receives the microphone", async () => {
    const { room, line, heard, join } = scene();
    room.remoteParticipants.set("agent", { isAgent: true });
    line.carry(microphone());
    const joining = join();
    await vi.waitFor(() => expect(room.published).toHaveLength(1));
    expect(heard).toEqual([]);
    room.emit(RoomEvent.LocalTrackSubscribed);
    await joining;
    expect(heard).toEqual(["connected", "audible"]);
  });

  it("waits for an agent that joins while the microphone is being published", async () => {
    const { room, line, heard, join } = scene();
    const publish = room.localParticipant.publishTrack;
    room.localParticipant.publishTrack = async (track) => {
      room.remoteParticipants.set("agent", { isAgent: true });
      await publish(track);
    };
    line.carry(microphone());
    const joining = join();
    await vi.waitFor(() => expect(room.published).toHaveLength(1));
    expect(heard).toEqual([]);
    room.emit(RoomEvent.LocalTrackSubscribed);
    await joining;
    expect(heard).toEqual(["connected", "audible"]);
  });

  it("is connected without a microphone, and takes one that comes later", async () => {
    const { room, line, heard, join } = scene();
    await join();
    expect(heard).toEqual(["connected", "audible"]);
    const track = microphone();
    line.carry(track);
    await vi.waitFor(() => expect(room.published).toEqual([track]));
  });

  it("has one microphone at a time, the newest", async () => {
    const { room, line, join } = scene();
    const [first, second, third] = [microphone(), microphone(), microphone()];
    line.carry(first);
    await join();
    line.carry(null);
    line.carry(second);
    line.carry(third);
    await vi.waitFor(() => expect(room.published).toEqual([third]));
    line.carry(null);
    await vi.waitFor(() => expect(room.published).toEqual([]));
  });

  it("says that it is away, and that it is back", async () => {
    const { room, heard, join } = scene();
    await join();
    room.emit(RoomEvent.SignalReconnecting);
    room.emit(RoomEvent.Reconnecting);
    room.emit(RoomEvent.Reconnected);
    expect(heard.slice(2)).toEqual(["interrupted", "interrupted", "connected"]);
  });

  it("is lost once, and then leaves the microphone to the next", async () => {
    const { room, heard, voices, join } = scene();
    await join();
    room.emit(RoomEvent.Disconnected, DisconnectReason.ROOM_DELETED);
    room.emit(RoomEvent.Disconnected, DisconnectReason.SIGNAL_CLOSE);
    expect(heard.slice(2)).toEqual(["lost 1001"]);
    expect(voices.close).toHaveBeenCalledOnce();
    expect(room.disconnect).toHaveBeenCalledExactlyOnceWith(false);
  });

  it("is refused by what `connect` throws, not by the event before it", async () => {
    const { room, heard, join } = scene();
    room.refusal = ConnectionError.notAllowed("expired", 401);
    await join();
    expect(heard).toEqual(["lost 4401 for good"]);
  });

  it("is given up where nothing can be published", async () => {
    const { room, line, heard, join } = scene();
    room.publishingFails = true;
    line.carry(microphone());
    await join();
    expect(heard).toEqual(["lost 1006"]);
  });

  it("says nothing after it was closed", async () => {
    const { room, line, heard, join } = scene();
    const joining = join();
    line.close();
    await joining;
    room.emit(RoomEvent.Reconnected);
    room.emit(RoomEvent.AudioPlaybackStatusChanged);
    expect(heard).toEqual([]);
  });

  it("plays voices, and nothing that is seen", async () => {
    const { room, voices, join } = scene();
    await join();
    const voice = { kind: Track.Kind.Audio };
    room.emit(RoomEvent.TrackSubscribed, voice);
    room.emit(RoomEvent.TrackSubscribed, { kind: Track.Kind.Video });
    expect(voices.add).toHaveBeenCalledExactlyOnceWith(voice);
    room.emit(RoomEvent.TrackUnsubscribed, voice);
    expect(voices.remove).toHaveBeenCalledExactlyOnceWith(voice);
  });

  it("asks for a click where the browser wants one", async () => {
    const page = new EventTarget();
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
    vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
    const { room, heard, join } = scene();
    await join();
    room.canPlaybackAudio = false;
    room.emit(RoomEvent.AudioPlaybackStatusChanged);
    page.dispatchEvent(new Event("pointerup"));
    expect(room.startAudio).toHaveBeenCalledOnce();
    room.canPlaybackAudio = true;
    room.emit(RoomEvent.AudioPlaybackStatusChanged);
    page.dispatchEvent(new Event("pointerup"));
    expect(room.startAudio).toHaveBeenCalledOnce();
    expect(heard.slice(2)).toEqual(["silenced", "audible"]);
    vi.unstubAllGlobals();
  });
});

describe("a line whose program has to be fetched", () => {
  const line = () => ({
    send: vi.fn(),
    carry: vi.fn(),
    unlock: vi.fn(),
    setVolume: vi.fn(),
    close: vi.fn(),
  });

  it("is given the microphone that there is then", async () => {
    const opened = line();
    const later = openLater(async () => opened as Line, vi.fn());
    const track = microphone();
    later.carry(null);
    later.carry(track);
    await vi.waitFor(() => expect(opened.carry).toHaveBeenCalledExactlyOnceWith(track));
  });

  it("is closed at once when nobody wants it any more", async () => {
    const opened = line();
    openLater(async () => opened as Line, vi.fn()).close();
    await vi.waitFor(() => expect(opened.close).toHaveBeenCalledOnce());
    expect(opened.carry).not.toHaveBeenCalled();
  });

  it("says that it can't be had, unless nobody wants it", async () => {
    const [failed, unheard] = [vi.fn(), vi.fn()];
    const refused = async () => Promise.reject(new TypeError("no such file"));
    openLater(refused, failed);
    openLater(refused, unheard).close();
    await vi.waitFor(() => expect(failed).toHaveBeenCalledOnce());
    expect(unheard).not.toHaveBeenCalled();
  });
});
