/** The session: its state, its agent and its streams. */
import type { Failure } from "../../shared/api/failure.ts";
import { backoffMs } from "./backoff.ts";
import type { Answer, Effect, Step, StreamEnd } from "./events.ts";
import { handIn } from "./lines.ts";
import {
  type Connection,
  type Conversation,
  cleared,
  empty,
  isAsked,
  isBusy,
  isOver,
  isRunning,
  type Session,
  type Stream,
  switchedOff,
} from "./state.ts";
import { passedOver, type Transcript, take, type Unsent, unfinished } from "./transcript.ts";

const OPEN: Stream = { is: "open", tries: 0 };

/** The server gives up on an agent after 5 s; if no news of that arrives, we ask again. */
export const AGENT_LATE_MS = 6_500;

/** Begins a conversation with a newly created session. */
export function fromStart(
  state: Conversation,
  session: Session,
  connection: Connection | null,
): Step {
  const epoch = state.epoch + 1;
  const fresh = {
    ...empty(epoch, state),
    session,
    isTalking: true,
    words: OPEN,
    updates: OPEN,
    isSilenced: state.isSilenced,
  };
  const effects: Effect[] = [
    ...follow(epoch, session.id),
    { do: "remember", sessionId: session.id },
    { do: "show", sessionId: session.id },
    ...noted(session),
  ];
  if (state.microphone.is !== "on" && !isAsked(state.microphone)) {
    effects.push({ do: "openMicrophone" });
    fresh.microphone = { ...state.microphone, is: "asking", problem: null };
  }
  if (connection === null) return [fresh, effects];
  effects.push({ do: "openMedia", epoch, connection });
  return [{ ...fresh, media: { is: "connecting", tries: 0, problem: null } }, effects];
}

/** Attaches to a running session after a reload or in a second window. */
export function attach(
  state: Conversation,
  session: Session,
  isTalking: boolean,
  unsent: readonly Unsent[] = [],
): Step {
  if (state.session?.id === session.id && !state.isDeleted) return [state, []];
  // A running request decides what this page shows; its answer must find the state unchanged.
  if (isBusy(state)) return [state, []];
  const epoch = state.epoch + 1;
  const attached: Conversation = {
    ...empty(epoch, state),
    session,
    wasAnswered: session.agentState != null,
    // If a line did arrive, its utterance comes with the transcript and replaces it.
    pending: unsent.map((line) => ({ ...line, isSending: false, problem: null })),
    words: OPEN,
    updates: OPEN,
  };
  const effects: Effect[] = [
    { do: "closeStreams" },
    { do: "closeMedia" },
    ...follow(epoch, session.id),
  ];
  if (!isTalking) return [attached, effects];
  const [talking, talk] = talkHere(attached);
  return [talking, [...effects, ...talk]];
}

/** Makes this page the one that talks. */
export function talkHere(state: Conversation): Step {
  const { session, epoch } = state;
  if (session === null || !isRunning(state)) return [state, []];
  const effects: Effect[] = [{ do: "remember", sessionId: session.id }];
  let { microphone } = state;
  if (microphone.is !== "on") {
    microphone = { ...microphone, is: "asking", problem: null };
    effects.push({ do: "openMicrophone" });
  }
  const talking = { ...state, isTalking: true, microphone };
  // A failed session has no media until the next agent comes.
  if (session.status === "FAILED") return [talking, effects];
  effects.push({ do: "join", epoch, sessionId: session.id });
  return [{ ...talking, media: { is: "joining", tries: 0, problem: null } }, effects];
}

/** Logs the server's reason for a missing agent; the page shows other texts. */
function noted({ status, failure }: Session): Effect[] {
  if (status !== "FAILED" || failure == null) return [];
  const message = `${failure.code}: ${failure.message}`;
  return [{ do: "log", what: "no agent", failure: { kind: "busy", message } }];
}

function follow(epoch: number, sessionId: string): Effect[] {
  return [
    { do: "openWords", epoch, sessionId, after: null },
    { do: "openUpdates", epoch, sessionId },
    { do: "wait", epoch, timer: "agent", atMostMs: AGENT_LATE_MS, isExact: true },
  ];
}

/** Takes the server's version of the session unless it is older than the one held. */
export function changed(state: Conversation, session: Session): Step {
  const held = state.session;
  if (held === null || held.id !== session.id || session.version < held.version) return [state, []];
  // The next agent continues a line with a newer revision; other lines end where they are.
  const isNew = held.agentState == null && session.agentState != null;
  const wasAnswered = state.wasAnswered || session.agentState != null;
  const cutOff = isNew ? unfinished(state.transcript) : state.cutOff;
  const isBack = held.status === "FAILED" && session.status !== "FAILED";
  // A failed request for the agent does not matter any more.
  const problem = isBack ? null : state.problem;
  const next = { ...state, session, wasAnswered, cutOff, problem };
  if (isOver(session) && !isOver(held)) return ended(next);
  // Another client retried the agent; this page had no media while it was missing.
  if (isBack && state.isTalking && state.media.is === "off" && !state.isRetryingAgent)
    return talkHere(next);
  return [next, held.status === "FAILED" ? [] : noted(session)];
}

/** The conversation has ended: closes audio and microphone, keeps the transcript. */
export function ended(state: Conversation): Step {
  // The answer to a running save decides what happens to the microphone.
  const isOurs = state.request !== null && state.request.failure === null;
  const closing: Effect[] = isOurs ? [] : [{ do: "closeMedia" }, { do: "closeMicrophone" }];
  if (isOurs) return [state, closing];
  const microphone = switchedOff(state.microphone);
  const media = { is: "off" as const, tries: 0, problem: null };
  const over = { ...settled(state), media, microphone, isTalking: false };
  const [next, handing] = handIn(over);
  return [next, [...closing, { do: "remember", sessionId: null }, ...handing]];
}

/** Drops a request that the end of the conversation has settled. */
function settled(state: Conversation): Conversation {
  const { request, isDeleted } = state;
  const isMet =
    request !== null && (request.kind === "end" || (isDeleted && request.kind === "next"));
  return isMet ? { ...state, request: null } : state;
}

/** Handles an event of the transcript stream. */
export function heard(state: Conversation, answer: Answer & { type: "words" }): Step {
  const transcript = take(state.transcript, answer.event);
  const keys = new Set(answer.event.utterances.map((utterance) => utterance.key));
  const pending = state.pending.some((line) => keys.has(line.key))
    ? state.pending.filter((line) => !keys.has(line.key))
    : state.pending;
  const cutOff = cutOffBefore(state, transcript);
  const next = { ...state, transcript, cutOff, pending, words: OPEN };
  return answer.end ? over(next, "words", answer.end) : [next, []];
}

/** Adds the open lines of agents that left before this page attached. */
function cutOffBefore({ transcript, cutOff }: Conversation, now: Transcript) {
  if (transcript.isCaughtUp || !now.isCaughtUp) return cutOff;
  return new Map([...cutOff, ...passedOver(now)]);
}

/** Handles an event of the session's update stream. */
export function updated(state: Conversation, answer: Answer & { type: "update" }): Step {
  // The server is reachable again.
  const reached = state.updates.tries > 0 ? cleared(state, "network", "timeout") : state;
  const open = { ...reached, updates: OPEN };
  if (answer.isDeleted) {
    const [next, effects] = ended({ ...open, isDeleted: true });
    return [next, effects];
  }
  const [next, effects] = answer.session ? changed(open, answer.session) : [open, []];
  if (answer.end === null) return [next, effects];
  const [last, more] = over(next, "updates", answer.end);
  return [last, [...effects, ...more]];
}

type Which = "words" | "updates";

function over(state: Conversation, which: Which, end: StreamEnd): Step {
  if (end.mayResume) return lost(state, which, null);
  const off = { ...state, [which]: { is: "off", tries: 0 } };
  if (end.reason === "ACCESS_REVOKED") return [off, [{ do: "tellSignedOut" }]];
  if (end.reason === "SESSION_DELETED") return ended({ ...off, isDeleted: true });
  return [off, []];
}

/** A stream broke: resumes it after a pause, unless it was refused for good. */
export function lost(state: Conversation, which: Which, failure: Failure | null): Step {
  const stream = state[which];
  if (stream.is !== "open") return [state, []];
  const off = { ...state, [which]: { is: "off", tries: 0 } };
  if (failure?.kind === "signed-out") return [off, [{ do: "tellSignedOut" }]];
  if (failure?.kind === "forbidden") return [{ ...off, problem: failure }, []];
  if (failure?.kind === "not-found") return ended({ ...off, isDeleted: true });
  const tries = stream.tries + 1;
  // Drop a refused cursor: revisions identify the lines that are already here.
  const isBadCursor = which === "words" && failure?.kind === "invalid";
  const transcript = isBadCursor ? { ...state.transcript, cursor: null } : state.transcript;
  return [
    { ...state, transcript, [which]: { is: "waiting", tries } },
    [{ do: "wait", epoch: state.epoch, timer: which, atMostMs: backoffMs(tries) }],
  ];
}

/** Reopens a stream after its pause. */
export function resume(state: Conversation, which: Which): Step {
  const { session, epoch } = state;
  const stream = state[which];
  if (session === null || stream.is !== "waiting") return [state, []];
  const effect: Effect =
    which === "words"
      ? { do: "openWords", epoch, sessionId: session.id, after: state.transcript.cursor }
      : { do: "openUpdates", epoch, sessionId: session.id };
  return [{ ...state, [which]: { is: "open", tries: stream.tries } }, [effect]];
}

/** Reopens a stream that had ended for good because access was lost. */
export function reopen(state: Conversation, which: Which): Step {
  if (state[which].is !== "off" || !isRunning(state)) return [state, []];
  return resume({ ...state, [which]: { is: "waiting", tries: 0 } }, which);
}

/** The agent should have joined or failed by now: asks for the session's state again. */
export function agentIsLate(state: Conversation): Step {
  if (state.session?.status !== "STARTING") return [state, []];
  return [state, [{ do: "openUpdates", epoch: state.epoch, sessionId: state.session.id }]];
}
