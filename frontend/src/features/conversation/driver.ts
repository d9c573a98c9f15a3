/** Runs the state machine's effects and dispatches their results to it. */
import type { Api } from "../../shared/api/client.ts";
import { failureOf } from "../../shared/api/client.ts";
import type { Failure } from "../../shared/api/failure.ts";
import {
  JoinSessionDocument,
  RetryAgentDocument,
  SaveSessionDocument,
  SendMessageDocument,
  SessionUpdatesDocument,
  StartNewChatDocument,
  TranscriptsDocument,
} from "../../shared/api/generated/graphql.ts";
import type { Answer, Effect, Event, Previous, Saved } from "./events.ts";
import { step } from "./machine.ts";
import { type Connection, type Conversation, empty, type Hearing, hearing } from "./state.ts";

/** The audio commands of a conversation; a fake needs no browser. */
export interface SoundSystem {
  hearing: Hearing;
  openLine(connection: Connection, on: LineEvents): void;
  closeLine(): void;
  openMicrophone(): void;
  closeMicrophone(): void;
  mute(isMuted: boolean): void;
}

export interface LineEvents {
  connected(): void;
  interrupted(): void;
  lost(code: number, isTerminal: boolean): void;
}

/** Effects outside the conversation: navigation, storage, notes and the log. */
export interface Surroundings {
  show(sessionId: string): void;
  hide(sessionId: string | null): void;
  remember(sessionId: string | null): void;
  /** `wasUsed`: the person said something, or may have. */
  tellSaved(saved: Saved, wasUsed: boolean): void;
  /** The server has everything that this page held of a saved conversation. */
  handedOver(sessionId: string): void;
  tellSignedOut(): void;
  log(what: string, failure: Failure): void;
}

type AnswerBody = Answer extends infer A ? (A extends Answer ? Omit<A, "epoch"> : never) : never;

const MOST_TRIES_MORE = 4;

export class Driver {
  #state: Conversation = empty();
  readonly #api: Api;
  readonly #sound: SoundSystem;
  readonly #around: Surroundings;
  readonly #watchers = new Set<() => void>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** Saved conversations with messages that are still being uploaded. */
  readonly #unfinished = new Set<string>();
  #closeWords: (() => void) | null = null;
  #closeUpdates: (() => void) | null = null;

  constructor(api: Api, sound: SoundSystem, around: Surroundings) {
    this.#api = api;
    this.#sound = sound;
    this.#around = around;
  }

  get state(): Conversation {
    return this.#state;
  }

  /** Calls `watcher` after every change; returns a function that stops this. */
  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  readonly dispatch = (event: Event): void => {
    const [next, effects] = step(this.#state, event);
    const isChanged = next !== this.#state;
    this.#state = next;
    this.#sound.hearing = hearing(next);
    for (const effect of effects) this.#run(effect);
    if (isChanged) for (const watcher of this.#watchers) watcher();
  };

  #run(effect: Effect): void {
    switch (effect.do) {
      case "startNewChat":
        return this.#startNewChat(effect.epoch, effect.key, effect.previous);
      case "saveSession":
        return this.#save(effect.epoch, effect.previous);
      case "saveMore":
        void this.#saveMore(effect.epoch, effect.previous);
        return;
      case "join":
        return this.#join(effect.epoch, effect.sessionId);
      case "retryAgent":
        return this.#retryAgent(effect.epoch, effect.sessionId);
      case "send":
        return this.#send(effect);
      case "openWords":
        return this.#openWords(effect);
      case "openUpdates":
        return this.#openUpdates(effect.epoch, effect.sessionId);
      case "closeStreams":
        return this.#closeStreams();
      case "openMedia":
        return this.#openMedia(effect.epoch, effect.connection);
      case "closeMedia":
        return this.#sound.closeLine();
      case "openMicrophone":
        return this.#sound.openMicrophone();
      case "closeMicrophone":
        return this.#sound.closeMicrophone();
      case "mute":
        return this.#sound.mute(effect.isMuted);
      case "wait":
        return this.#wait(effect);
      default:
        return this.#tell(effect);
    }
  }

  #tell(effect: Effect): void {
    switch (effect.do) {
      case "remember":
        return this.#around.remember(effect.sessionId);
      case "show":
        return this.#around.show(effect.sessionId);
      case "hide":
        return this.#around.hide(effect.sessionId);
      case "tellSaved":
        this.#around.tellSaved(effect.saved, effect.wasUsed);
        return this.#handOver(effect.saved.session.id);
      case "tellSignedOut":
        return this.#around.tellSignedOut();
      case "log":
        return this.#around.log(effect.what, effect.failure);
    }
  }

  #answer(epoch: number, body: AnswerBody): void {
    this.dispatch({ ...body, epoch } as Answer);
  }

  /** Dispatches the answer to a request, or its failure. */
  #ask<T>(
    epoch: number,
    question: Promise<T>,
    answered: (data: T) => AnswerBody,
    refused: (failure: Failure) => AnswerBody,
  ): void {
    question.then(
      (data) => this.#answer(epoch, answered(data)),
      (error: unknown) => this.#answer(epoch, refused(failureOf(error))),
    );
  }

  #startNewChat(epoch: number, idempotencyKey: string, previous: Previous | null): void {
    const input = { idempotencyKey, ...(previous ? { previous } : {}) };
    this.#ask(
      epoch,
      this.#api.mutate(StartNewChatDocument, { input }).then((data) => present(data.startNewChat)),
      ({ saved, session, connection }) => ({
        type: "chatStarted",
        saved: saved ?? null,
        session,
        connection: connection ?? null,
      }),
      (failure) => ({ type: "requestFailed", failure }),
    );
  }

  #save(epoch: number, previous: Previous): void {
    this.#ask(
      epoch,
      this.#api
        .mutate(SaveSessionDocument, { input: previous })
        .then((data) => present(data.saveSession)),
      (saved) => ({ type: "chatSaved", saved }),
      (failure) => ({ type: "requestFailed", failure }),
    );
  }

  #handOver(sessionId: string): void {
    if (!this.#unfinished.has(sessionId)) this.#around.handedOver(sessionId);
  }

  async #saveMore(epoch: number, previous: Previous): Promise<void> {
    const { sessionId } = previous;
    this.#unfinished.add(sessionId);
    for (let tries = 1; ; tries++) {
      try {
        await this.#api.mutate(SaveSessionDocument, { input: previous });
        this.#unfinished.delete(sessionId);
        this.#handOver(sessionId);
        return this.#answer(epoch, { type: "handedIn" });
      } catch (error) {
        const failure = failureOf(error);
        const mayPass = failure.kind === "network" || failure.kind === "timeout";
        if (!mayPass || tries === MOST_TRIES_MORE) {
          this.#around.log("late words", failure);
          return this.#answer(epoch, { type: "notHandedIn" });
        }
        await new Promise((resolve) => setTimeout(resolve, 1000 * 2 ** tries));
      }
    }
  }

  #join(epoch: number, id: string): void {
    this.#ask(
      epoch,
      this.#api.mutate(JoinSessionDocument, { id }).then((data) => present(data.joinSession)),
      ({ session, connection }) => ({ type: "joined", session, connection }),
      (failure) => ({ type: "joinFailed", failure }),
    );
  }

  #retryAgent(epoch: number, id: string): void {
    this.#ask(
      epoch,
      this.#api.mutate(RetryAgentDocument, { id }).then((data) => present(data.retryAgent)),
      ({ session, connection }) => ({
        type: "agentAsked",
        session,
        connection: connection ?? null,
      }),
      (failure) => ({ type: "agentRefused", failure }),
    );
  }

  #send({ epoch, sessionId, key, text }: Effect & { do: "send" }): void {
    this.#ask(
      epoch,
      this.#api
        .mutate(SendMessageDocument, { id: sessionId, key, text })
        .then((data) => present(data.sendMessage)),
      ({ utterance }) => ({ type: "said", key, utterance }),
      (failure) => ({ type: "notSaid", key, failure }),
    );
  }

  #openWords({ epoch, sessionId, after }: Effect & { do: "openWords" }): void {
    this.#closeWords?.();
    this.#closeWords = this.#api.stream(
      TranscriptsDocument,
      { id: sessionId, after },
      {
        next: ({ transcripts: { end, ...event } }) =>
          this.#answer(epoch, { type: "words", event, end: end ?? null }),
        done: (failure) => this.#answer(epoch, { type: "wordsLost", failure }),
      },
    );
  }

  #openUpdates(epoch: number, id: string): void {
    this.#closeUpdates?.();
    this.#closeUpdates = this.#api.stream(
      SessionUpdatesDocument,
      { id },
      {
        next: ({ sessionUpdates: { session, deletedSessionId, end } }) =>
          this.#answer(epoch, {
            type: "update",
            session: session ?? null,
            isDeleted: deletedSessionId != null,
            end: end ?? null,
          }),
        done: (failure) => this.#answer(epoch, { type: "updatesLost", failure }),
      },
    );
  }

  #closeStreams(): void {
    this.#closeWords?.();
    this.#closeUpdates?.();
    this.#closeWords = null;
    this.#closeUpdates = null;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #openMedia(epoch: number, connection: Connection): void {
    this.#sound.openLine(connection, {
      connected: () => this.#answer(epoch, { type: "mediaConnected" }),
      interrupted: () => this.#answer(epoch, { type: "mediaInterrupted" }),
      lost: (code, isTerminal) => this.#answer(epoch, { type: "mediaLost", code, isTerminal }),
    });
  }

  #wait({ epoch, timer, atMostMs, isExact }: Effect & { do: "wait" }): void {
    clearTimeout(this.#timers.get(timer));
    // Jitter: clients that lost the same server should not all reconnect at once.
    const pause = isExact ? atMostMs : atMostMs * (0.5 + Math.random() / 2);
    this.#timers.set(
      timer,
      setTimeout(() => this.#answer(epoch, { type: "time", timer }), pause),
    );
  }
}

/** Returns a root field. It is null only with an error, which has already been thrown. */
function present<T>(value: T | null | undefined): T {
  if (value == null) throw new TypeError("an answer without its field");
  return value;
}
