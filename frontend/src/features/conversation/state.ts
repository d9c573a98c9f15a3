/** The state of a conversation, independent of React, the network and the clock. */
import type { Failure, FailureKind } from "../../shared/api/failure.ts";
import type {
  ConnectionFieldsFragment,
  MessageInput,
  SessionFieldsFragment,
} from "../../shared/api/generated/graphql.ts";
import {
  NOTHING_SAID,
  type Pending,
  type Revisions,
  type Transcript,
  type Utterance,
} from "./transcript.ts";

export type Session = SessionFieldsFragment;
export type Connection = ConnectionFieldsFragment;

/** A request that starts or ends a conversation; there is one at a time. */
export interface Request {
  readonly kind: "start" | "next" | "end";
  readonly previous: { readonly sessionId: string; readonly messages: MessageInput[] } | null;
  /** The same for every attempt, so that nothing is done twice. */
  readonly key: string;
  readonly tries: number;
  /** Null while the request is running; a failed one waits for "Try again". */
  readonly failure: Failure | null;
  /** The cause of the failure is gone; only "Try again" is missing. */
  readonly isClear?: boolean;
  /** Not sent yet: the person may finish a sentence first. */
  readonly isHeldBack?: boolean;
}

export interface Stream {
  readonly is: "off" | "open" | "waiting";
  /** Consecutive losses. */
  readonly tries: number;
}

export type MediaProblem = "elsewhere" | "refused";

export interface Media {
  readonly is: "off" | "joining" | "connecting" | "connected" | "waiting" | "stopped";
  readonly tries: number;
  /** Why it is stopped. */
  readonly problem: MediaProblem | null;
}

export type MicrophoneProblem = "denied" | "missing" | "unplugged" | "insecure" | "failed";

export interface Microphone {
  /** "prompting": the browser shows its permission prompt. */
  readonly is: "off" | "asking" | "prompting" | "on" | "problem";
  readonly problem: MicrophoneProblem | null;
  readonly isMuted: boolean;
}

export interface Conversation {
  /** Counts this page's conversations; answers from an older one are stale. */
  readonly epoch: number;
  readonly session: Session | null;
  readonly transcript: Transcript;
  /** Whether an agent was ever present: a missing agent is then gone, not late. */
  readonly wasAnswered: boolean;
  /** Lines whose agent left in the middle; only a newer revision continues one. */
  readonly cutOff: Revisions;
  readonly pending: readonly Pending[];
  readonly sending: Sending;
  readonly request: Request | null;
  readonly words: Stream;
  readonly updates: Stream;
  /** Whether this page talks; other pages of the same session only follow. */
  readonly isTalking: boolean;
  readonly media: Media;
  readonly microphone: Microphone;
  /** The browser blocks playback until another click. */
  readonly isSilenced: boolean;
  readonly isRetryingAgent: boolean;
  /** A failure that is not retried automatically. */
  readonly problem: Failure | null;
  readonly isDeleted: boolean;
  /** Whether the server is reachable, as far as the browser knows. */
  readonly isOnline: boolean;
}

/** Progress of sending typed lines, one at a time to keep their order. */
export interface Sending {
  /** Consecutive failures that are retried. */
  readonly tries: number;
  /** Waiting before the next attempt. */
  readonly isPausing: boolean;
}

const OFF: Stream = { is: "off", tries: 0 };
export const NO_MEDIA: Media = { is: "off", tries: 0, problem: null };
export const NO_MICROPHONE: Microphone = { is: "off", problem: null, isMuted: false };
export const NOT_TRIED: Sending = { tries: 0, isPausing: false };

/** A closed microphone with the same mute state. */
export function switchedOff(microphone: Microphone): Microphone {
  return { ...microphone, is: "off", problem: null };
}

/** Whether the microphone was requested and may still open. */
export function isAsked({ is }: Microphone): boolean {
  return is === "asking" || is === "prompting";
}

/** What one conversation of a page passes to the next. */
type Lasting = Pick<Conversation, "microphone" | "isOnline">;

const AT_FIRST: Lasting = { microphone: NO_MICROPHONE, isOnline: true };

/** The state of a page without a conversation. */
export function empty(epoch = 0, { microphone, isOnline } = AT_FIRST): Conversation {
  return {
    epoch,
    session: null,
    transcript: NOTHING_SAID,
    wasAnswered: false,
    cutOff: new Map(),
    pending: [],
    sending: NOT_TRIED,
    request: null,
    words: OFF,
    updates: OFF,
    isTalking: false,
    media: NO_MEDIA,
    microphone,
    isSilenced: false,
    isRetryingAgent: false,
    problem: null,
    isDeleted: false,
    isOnline,
  };
}

/** Whether a click on New Chat, End or Start must be ignored. */
export function isBusy(state: Conversation): boolean {
  return state.request !== null && state.request.failure === null;
}

export function isSaving(state: Conversation): boolean {
  return isBusy(state) && state.request?.kind !== "start";
}

export function isOver(session: Session): boolean {
  return session.status === "ENDED" || session.status === "ENDING";
}

/** The newer of two versions of a session. */
export function newest(held: Session, known: Session | undefined): Session {
  return known !== undefined && known.version >= held.version ? known : held;
}

/** Whether there is a session that has not ended. */
export function isRunning(state: Conversation): boolean {
  return state.session !== null && !isOver(state.session) && !state.isDeleted;
}

/** Whether the agent has left; the server calls it back by itself. */
export function isAgentGone({ session, wasAnswered }: Conversation): boolean {
  if (session === null || session.agentState != null || !wasAnswered) return false;
  return session.status === "ACTIVE" || session.status === "STARTING";
}

/** Whether speech reaches the agent: the microphone and the line are open. */
export function isHeard(state: Conversation): boolean {
  const { microphone, media, session, isOnline } = state;
  const isOpen = microphone.is === "on" && !microphone.isMuted;
  const isOnItsWay = isOnline && media.is === "connected" && hearing(state) === "now";
  return isOpen && isOnItsWay && session?.agentState != null;
}

/** What happens to microphone input: it is dropped, held until that is decided, or sent. */
export type Hearing = "no" | "later" | "now";

/** Whether microphone input belongs to the conversation. It does so even while the line is down,
 * when it is kept and sent later. During a save, this is decided later. */
export function hearing(state: Conversation): Hearing {
  const { isTalking, session, transcript } = state;
  if (!isTalking || session?.status !== "ACTIVE" || !transcript.isCaughtUp) return "no";
  return isSaving(state) && !isHeldBack(state) ? "later" : "now";
}

/** Whether a save waits for the person to finish a sentence. */
export function isHeldBack({ request }: Conversation): boolean {
  return request?.isHeldBack === true && request.failure === null;
}

/** Whether the person is in the middle of a sentence that reaches the agent. */
export function isMidSentence(state: Conversation): boolean {
  const { is, isMuted } = state.microphone;
  if (is !== "on" || isMuted || !state.isOnline || state.media.is !== "connected") return false;
  const { lines } = state.transcript;
  const isOpen = (line: Utterance) => line.role === "USER" && isSpoken(state, line);
  return hearing(state) === "now" && lines.some(isOpen);
}

/** Whether a line may still grow. */
export function isSpoken(state: Conversation, line: Utterance): boolean {
  if (line.isFinal || !isRunning(state) || isAgentGone(state)) return false;
  if (state.session?.status === "FAILED") return false;
  const cutOff = state.cutOff.get(line.id);
  return cutOff === undefined || line.revision > cutOff;
}

/** Marks a failed request as clear if its failure is one of these. */
export function cleared(state: Conversation, ...kinds: FailureKind[]): Conversation {
  const { request } = state;
  if (!request?.failure || request.isClear || !kinds.includes(request.failure.kind)) return state;
  return { ...state, request: { ...request, isClear: true } };
}

/** The failed request that is still open, if any. */
export function openFailure({ request, session }: Conversation): Request | null {
  if (!request?.failure) return null;
  // The previous conversation is saved; only the next one is missing.
  const isKept = session !== null && isOver(session);
  return request.kind === "next" && isKept ? { ...request, kind: "start" } : request;
}

/** Problems that are shown as a notice. */
export type Concern = "request" | "no-agent" | "agent-gone" | "line" | "microphone" | "silenced";

/** The most important problem; the next is shown once it is resolved. */
export function concern(state: Conversation): Concern | null {
  if (state.request?.failure) return "request";
  if (state.session?.status === "FAILED") return "no-agent";
  if (isAgentGone(state)) return "agent-gone";
  if (!state.isTalking) return null;
  if (state.media.problem === "refused") return "line";
  if (state.microphone.is === "problem") return "microphone";
  return state.isSilenced ? "silenced" : null;
}

/** What still keeps the person from talking. */
export type Step =
  | "session"
  | "over"
  | "reconnect"
  | "follow"
  | "retry"
  | "transcript"
  | "sound"
  | "agent";

export function pendingStep(state: Conversation): Step | null {
  const { session } = state;
  if (session === null) return "session";
  if (!isRunning(state)) return "over";
  // A lost stream is back only after its first event.
  if (!state.isOnline || state.words.is !== "open" || state.words.tries > 0) return "reconnect";
  if (!state.isTalking) return "follow";
  if (session.status === "FAILED") return "retry";
  if (!state.transcript.isCaughtUp) return "transcript";
  if (state.media.is !== "connected") return "sound";
  if (session.status !== "ACTIVE") return "agent";
  return null;
}

/** Whether speech is accepted and typed lines are sent at once. */
export function isReady(state: Conversation): boolean {
  return pendingStep(state) === null && !isSaving(state);
}

/** Whether lines can be typed; they may be queued. */
export function canType(state: Conversation): boolean {
  return isRunning(state) && state.isTalking && !isSaving(state);
}
