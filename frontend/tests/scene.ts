/** A conversation under test: takes events, records effects, and has the usual answers. */

import type { Answer, Effect, Event } from "../src/features/conversation/events.ts";
import { step } from "../src/features/conversation/machine.ts";
import {
  type Connection,
  type Conversation,
  empty,
  type Session,
} from "../src/features/conversation/state.ts";
import type { Utterance } from "../src/features/conversation/transcript.ts";
import type { Failure, FailureKind } from "../src/shared/api/failure.ts";

export const failure = (kind: FailureKind, message = ""): Failure => ({ kind, message });

export function session(id: string, changes: Partial<Session> = {}): Session {
  return {
    id,
    title: "New Conversation",
    status: "STARTING",
    agentName: "voxql",
    agentState: null,
    createdAt: "2026-11-22T10:00:00.000000Z",
    startedAt: null,
    endedAt: null,
    endReason: null,
    durationMs: null,
    utteranceCount: 0,
    preview: null,
    version: 1,
    failure: null,
    ...changes,
  };
}

export function utterance(key: string, changes: Partial<Utterance> = {}): Utterance {
  return {
    id: `utt_${key}`,
    key,
    revision: 1,
    role: "USER",
    source: "SPEECH",
    text: `words of ${key}`,
    isFinal: true,
    isInterrupted: false,
    sortKey: sortKey(Number(key.replace(/\D/g, ""))),
    language: null,
    startedAt: "2026-11-22T10:00:01.000000Z",
    ...changes,
  };
}

/** Returns the server's sort key for a whole number. */
export function sortKey(place: number): string {
  return (0x8000000000 + place).toString(16);
}

export function connection(token: string): Connection {
  return {
    transport: "LOCAL",
    url: "ws://127.0.0.1/audio",
    token,
    expiresAt: "2026-11-22T10:15:00.000000Z",
    roomName: null,
  };
}

type Body = Answer extends infer A ? (A extends Answer ? Omit<A, "epoch"> : never) : never;

export class Scene {
  state: Conversation = empty();
  /** The effects of the latest event. */
  effects: Effect[] = [];

  send(event: Event): Effect[] {
    const [next, effects] = step(this.state, event);
    this.state = next;
    this.effects = effects;
    return effects;
  }

  /** Sends an answer with the current epoch. */
  answer(body: Body): Effect[] {
    return this.send({ ...body, epoch: this.state.epoch } as Answer);
  }

  /** The names of the effects, in order. */
  get did(): string[] {
    return this.effects.map((effect) => effect.do);
  }

  find<D extends Effect["do"]>(name: D): Extract<Effect, { do: D }> {
    const found = this.effects.find((effect) => effect.do === name);
    if (!found) throw new Error(`no ${name} in ${this.did.join(", ") || "nothing"}`);
    return found as Extract<Effect, { do: D }>;
  }

  /** Starts a conversation; every step succeeds until its agent listens. */
  talking(id = "ses_1"): this {
    this.send({ type: "start", key: "key-1" });
    this.answer({
      type: "chatStarted",
      saved: null,
      session: session(id),
      connection: connection("token-1"),
    });
    this.send({ type: "microphoneOn" });
    return this.connected(id);
  }

  /** Connects media, delivers the transcript so far, and has the agent listen. */
  connected(id: string): this {
    this.answer({ type: "mediaConnected" });
    this.hear([], `${id}-0`);
    this.answer({
      type: "update",
      session: session(id, { status: "ACTIVE", agentState: "LISTENING", version: 2 }),
      isDeleted: false,
      end: null,
    });
    return this;
  }

  hear(utterances: Utterance[], cursor = "c"): Effect[] {
    const event = { cursor, isCaughtUp: true, utterances };
    return this.answer({ type: "words", event, end: null });
  }

  /** Delivers a session update from the server. */
  update(changes: Partial<Session>, id = "ses_1"): Effect[] {
    return this.answer({
      type: "update",
      session: session(id, changes),
      isDeleted: false,
      end: null,
    });
  }

  get texts(): string[] {
    return this.state.transcript.lines.map((line) => line.text);
  }
}

export const saved = (id: string) => ({
  isSaved: true,
  session: session(id, { status: "ENDING", endReason: "SAVED", version: 9 }),
});

/** A muted conversation that ends in an unfinished sentence. */
export function unfinished(): Scene {
  const scene = new Scene().talking();
  scene.send({ type: "mute", isMuted: true });
  scene.hear([utterance("a1"), utterance("a2", { role: "AGENT" })]);
  scene.hear([utterance("a3", { isFinal: false, text: "half a sen" })]);
  return scene;
}
