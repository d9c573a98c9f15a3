/** Starting, saving and ending conversations without losing anything that was said. */
import type { Failure } from "../../shared/api/failure.ts";
import type { Answer, Effect, Previous, Saved, Step } from "./events.ts";
import { messages } from "./handover.ts";
import { ended, fromStart } from "./session.ts";
import {
  type Conversation,
  empty,
  isAsked,
  isBusy,
  isHeldBack,
  isMidSentence,
  isRunning,
  type Request,
  switchedOff,
} from "./state.ts";

/** Attempts per request before its failure is shown. */
export const MOST_TRIES = 3;

/** How long New chat and End wait for the person to finish a sentence. */
export const SENTENCE_MS = 2_000;

/** Longest pause after attempt number `tries`. */
export const pauseMs = (tries: number): number => 400 * 2 ** (tries - 1);

/** Starts a conversation, saves and starts the next, or saves and ends; ignored while busy. */
export function request(state: Conversation, kind: Request["kind"], key: string): Step {
  if (isBusy(state)) return [state, []];
  // Repeating a request is a retry under its old key, so that nothing is done twice.
  if (state.request?.kind === kind) return retry(state);
  const session = state.isDeleted ? null : state.session;
  if (kind === "end" && session === null) return leave(state);
  const wish: Request = { kind, previous: previousOf(state), key, tries: 1, failure: null };
  const clear = { ...state, problem: null };
  if (!isMidSentence(state)) return send(clear, wish);
  return [
    { ...clear, request: { ...wish, isHeldBack: true } },
    [{ do: "wait", epoch: state.epoch, timer: "sentence", atMostMs: SENTENCE_MS, isExact: true }],
  ];
}

function previousOf(state: Conversation): Previous | null {
  if (state.session === null || state.isDeleted) return null;
  return { sessionId: state.session.id, messages: messages(state.transcript, state.pending) };
}

/** Sends a held-back request once the sentence has ended or `isLate` is true. */
export function letGo(state: Conversation, isLate: boolean): Step {
  const { request } = state;
  if (request === null || !isHeldBack(state) || (!isLate && isMidSentence(state)))
    return [state, []];
  return send(state, { ...request, previous: previousOf(state), isHeldBack: false });
}

/** Retries a failed request. */
export function retry(state: Conversation): Step {
  if (state.request === null || isBusy(state)) return [state, []];
  return send(state, { ...state.request, tries: 1, failure: null, isClear: false });
}

/** Sends the next attempt after its pause. */
export function sendAgain(state: Conversation): Step {
  if (state.request === null || !isBusy(state)) return [state, []];
  return send(state, state.request);
}

function send(state: Conversation, request: Request): Step {
  const { epoch } = state;
  const { kind, key, previous } = request;
  const effect: Effect =
    kind === "end" && previous
      ? { do: "saveSession", epoch, previous }
      : { do: "startNewChat", epoch, key, previous };
  const effects: Effect[] = [effect];
  // Within the click, because browsers then allow audio and the microphone prompt.
  if (kind !== "start" || state.microphone.is === "on" || isAsked(state.microphone))
    return [{ ...state, request }, effects];
  const microphone = { ...state.microphone, is: "asking" as const, problem: null };
  return [{ ...state, request, microphone }, [...effects, { do: "openMicrophone" }]];
}

/** The request failed, or its outcome is unknown. Nothing is cleared. */
export function failed(state: Conversation, failure: Failure): Step {
  const { request } = state;
  if (request === null || !isBusy(state)) return [state, []];
  // The stream has reported the end: no retry is needed.
  const isDone = request.kind === "end" && !isRunning(state);
  if (failure.kind === "network" && request.tries < MOST_TRIES && !isDone) {
    const again = { ...request, tries: request.tries + 1 };
    const atMostMs = pauseMs(request.tries);
    return [
      { ...state, request: again },
      [{ do: "wait", epoch: state.epoch, timer: "request", atMostMs }],
    ];
  }
  const [next, closing] = unheard({ ...state, request: { ...request, failure } });
  const effects: Effect[] = [...closing, { do: "log", what: `${request.kind} failed`, failure }];
  if (failure.kind === "signed-out") effects.push({ do: "tellSignedOut" });
  return [next, effects];
}

/** Closes the microphone if no conversation is running: no button would show it or close it. */
function unheard(state: Conversation): Step {
  if (isRunning(state)) return [state, []];
  if (state.session !== null) return ended(state);
  const microphone = switchedOff(state.microphone);
  return [{ ...state, microphone }, [{ do: "closeMicrophone" }]];
}

/** The next conversation has started: clears the previous one, in this order. */
export function started(state: Conversation, answer: Answer & { type: "chatStarted" }): Step {
  const { request } = state;
  if (request === null || !isBusy(state)) return [state, []];
  const [next, begin] = fromStart(state, answer.session, answer.connection);
  return [
    next,
    [
      ...saidMeanwhile(state, request.previous, answer.saved),
      { do: "closeStreams" },
      { do: "closeMedia" },
      ...told(state, answer.saved, "next"),
      ...begin,
    ],
  ];
}

/** "End" succeeded: the same cleanup without a next conversation. */
export function saved(state: Conversation, answer: Answer & { type: "chatSaved" }): Step {
  if (state.request === null || !isBusy(state)) return [state, []];
  const more = saidMeanwhile(state, state.request.previous, answer.saved);
  const [next, effects] = leave(state);
  return [next, [...more, ...told(state, answer.saved, "end"), ...effects]];
}

/** Leaves the conversation on this page; on the server it stays as it is. */
export function leave(state: Conversation): Step {
  const microphone = switchedOff(state.microphone);
  return [
    empty(state.epoch + 1, { ...state, microphone }),
    [
      { do: "closeStreams" },
      { do: "closeMedia" },
      { do: "closeMicrophone" },
      { do: "remember", sessionId: null },
      { do: "hide", sessionId: state.session?.id ?? null },
    ],
  ];
}

function told(state: Conversation, saved: Saved | null, then: "next" | "end"): Effect[] {
  if (saved === null) return [];
  const { lines, isCaughtUp } = state.transcript;
  const isUnknown = !isCaughtUp || state.pending.length > 0;
  const wasUsed =
    isUnknown || lines.some(({ role, text }) => role === "USER" && text.trim() !== "");
  return [{ do: "tellSaved", saved, then, wasUsed }];
}

/** Also uploads what arrived after the click; the server skips what it already has. */
function saidMeanwhile(
  state: Conversation,
  previous: Previous | null,
  saved: Saved | null,
): Effect[] {
  if (previous === null || saved === null) return [];
  const given = new Map(previous.messages.map((message) => [message.key, message]));
  const now = messages(state.transcript, state.pending);
  const more = now.filter((message) => {
    const before = given.get(message.key);
    return before?.text !== message.text || before.isFinal !== message.isFinal;
  });
  if (more.length === 0) return [];
  // All messages, because a message is placed by its neighbours.
  const { sessionId } = previous;
  return [{ do: "saveMore", epoch: state.epoch, previous: { sessionId, messages: now } }];
}
