/** Typed lines: sent in order, each under its own key, and removable until they are sent. */
import type { Failure } from "../../shared/api/failure.ts";
import * as texts from "../../texts.ts";
import { backoffMs } from "./backoff.ts";
import type { Answer, Effect, Step } from "./events.ts";
import { messages } from "./handover.ts";
import {
  type Conversation,
  canType,
  isOver,
  isRunning,
  isSaving,
  NOT_TRIED,
  pendingStep,
} from "./state.ts";
import { isTooLong, isWaiting, type Pending, takeOne } from "./transcript.ts";

/** Most consecutive refusals because the session is not in the state that this page assumes. */
const MOST_CONFLICTS = 3;

export function say(state: Conversation, key: string, text: string, at: string): Step {
  if (!canType(state) || text.trim() === "" || isTooLong(text)) return [state, []];
  const line = { key, text, typedAt: at, isTried: false, isSending: false, problem: null };
  return [{ ...state, pending: [...state.pending, line] }, []];
}

/** Resends a line under the same key, so that the server does not store it twice. */
export function sayAgain(state: Conversation, key: string): Step {
  const line = state.pending.find((held) => held.key === key);
  if (!line?.problem || state.session === null) return [state, []];
  return handIn(withLine(state, key, { problem: null }));
}

/** Removes a line that was never sent; one that was sent may have arrived. */
export function takeBack(state: Conversation, key: string): Step {
  const isStill = (line: Pending) => line.key === key && !line.isTried;
  if (!state.pending.some(isStill)) return [state, []];
  return [{ ...state, pending: state.pending.filter((line) => !isStill(line)) }, []];
}

/** Why typed lines are not sent now. */
export type Wait = "network" | "connection" | "agent" | "sound" | "turn";

/** What the next line waits for; null if it can be sent. A page that only follows still sends lines
 * that were typed on it before. */
export function waitsFor(state: Conversation): Wait | null {
  if (!state.isOnline) return "network";
  const step = pendingStep(state);
  if (step === "session" || step === "over" || isSaving(state)) return "turn";
  if (step === "reconnect" || state.sending.isPausing) return "connection";
  if (state.session?.status !== "ACTIVE") return "agent";
  if (step === "sound" && state.media.is === "stopped") return "sound";
  const isReady = step === null || (step === "follow" && state.transcript.isCaughtUp);
  return isReady ? null : "turn";
}

/** Sends the next line if possible; one at a time, so that they arrive in order. */
export function sendNext(state: Conversation): Step {
  const next = state.pending.find(isWaiting);
  if (next === undefined || state.session === null || waitsFor(state) !== null) return [state, []];
  if (state.pending.some((line) => line.isSending)) return [state, []];
  const { key, text } = next;
  return [
    withLine(state, key, { isSending: true, isTried: true }),
    [{ do: "send", epoch: state.epoch, sessionId: state.session.id, key, text }],
  ];
}

export function said(state: Conversation, answer: Answer & { type: "said" }): Step {
  return [
    {
      ...state,
      transcript: takeOne(state.transcript, answer.utterance),
      pending: state.pending.filter((line) => line.key !== answer.key),
      sending: NOT_TRIED,
    },
    [],
  ];
}

/** Retries a line under its key if that may help; else reports the failure. */
export function notSaid(state: Conversation, key: string, failure: Failure): Step {
  // The stream has delivered the line in the meantime.
  if (!state.pending.some((line) => line.key === key)) return [state, []];
  if (!isRunning(state)) return handIn(withLine(state, key, { isSending: false }));
  const tries = state.sending.tries + 1;
  const isLost = failure.kind === "network" || failure.kind === "timeout";
  const isEarly = failure.kind === "conflict" && tries < MOST_CONFLICTS;
  if (isLost || isEarly) {
    const waiting = withLine(state, key, { isSending: false });
    const wait = { do: "wait", timer: "lines", atMostMs: backoffMs(tries) } as const;
    return [{ ...waiting, sending: { tries, isPausing: true } }, [{ ...wait, epoch: state.epoch }]];
  }
  const effects: Effect[] = failure.kind === "signed-out" ? [{ do: "tellSignedOut" }] : [];
  return [refused({ ...state, sending: NOT_TRIED }, key, failure), effects];
}

function refused(state: Conversation, key: string, failure: Failure): Conversation {
  const isWorded = failure.kind !== "signed-out" && failure.message !== "";
  const problem = isWorded ? failure.message : texts.transcriptNotSent;
  // An invalid line can't have arrived, so it may still be edited.
  const tried = failure.kind === "invalid" ? { isTried: false } : {};
  return withLine(state, key, { isSending: false, problem, ...tried });
}

/** Ends the pause before a retry: time is up, or the network is back. */
export function goOn(state: Conversation): Conversation {
  if (!state.sending.isPausing) return state;
  return { ...state, sending: { ...state.sending, isPausing: false } };
}

/** Uploads the unsent lines of a conversation that has ended. */
export function handIn(state: Conversation): Step {
  const { session, pending, epoch } = state;
  if (session === null || !isOver(session) || state.isDeleted) return [state, []];
  if (!pending.some(isWaiting)) return [state, []];
  const handed = pending.map((line) =>
    isWaiting(line) ? { ...line, isSending: true, isTried: true } : line,
  );
  const previous = { sessionId: session.id, messages: messages(state.transcript, pending) };
  return [{ ...state, pending: handed }, [{ do: "saveMore", epoch, previous }]];
}

/** The lines are stored: reopens the transcript stream, if it has ended, to get them. */
export function handedIn(state: Conversation): Step {
  const { session, pending, epoch, words, transcript } = state;
  if (session === null || pending.length === 0 || words.is !== "off") return [state, []];
  const after = transcript.cursor;
  return [
    { ...state, words: { is: "open", tries: 0 } },
    [{ do: "openWords", epoch, sessionId: session.id, after }],
  ];
}

/** The upload failed: keeps the lines, marked as not sent. */
export function notHandedIn(state: Conversation): Step {
  const pending = state.pending.map((line) =>
    line.isSending ? { ...line, isSending: false, problem: texts.transcriptNotSent } : line,
  );
  return [{ ...state, pending }, []];
}

function withLine(state: Conversation, key: string, changes: Partial<Pending>): Conversation {
  const pending = state.pending.map((line) => (line.key === key ? { ...line, ...changes } : line));
  return { ...state, pending };
}
