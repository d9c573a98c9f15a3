/** What a conversation is to this page. Nothing here knows React, the network or the clock. */
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

/** Something the server was asked for that begins or ends a conversation; there is one at a time. */
export interface Request {
  readonly kind: "start" | "next" | "end";
  readonly previous: { readonly sessionId: string; readonly messages: MessageInput[] } | null;
  /** The same for every try: whatever got through already is not done twice. */
  readonly key: string;
  readonly tries: number;
  /** Null while it is on its way; afterwards the request waits for "Retry". */
  readonly failure: Failure | null;
  /** What was in its way is not there any more: it waits for "Try again" alone. */
  readonly isClear?: boolean;
  /** It was not sent yet: first the sentence that is being said may come to its end. */
  readonly isHeldBack?: boolean;
}

export interface Stream {
  readonly is: "off" | "open" | "waiting";
  /** Losses in a row. */
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
  /** "prompting": the browser asks the person whether this page may use it. */
  readonly is: "off" | "asking" | "prompting" | "on" | "problem";
  readonly problem: MicrophoneProblem | null;
  readonly isMuted: boolean;
}

export interface Conversation {
  /** Counts conversations of this page: an answer that was asked for in an older one is stale. */
  readonly epoch: number;
  readonly session: Session | null;
  readonly transcript: Transcript;
  /** Whether an agent was seen in it: one that is not there any more is gone, not late. */
  readonly wasAnswered: boolean;
  /** Lines in the middle of which their agent went away: only a newer revision goes on with one. */
  readonly cutOff: Revisions;
  readonly pending: readonly Pending[];
  readonly sending: Sending;
  readonly request: Request | null;
  readonly words: Stream;
  readonly updates: Stream;
  /** Whether this page is the one that talks; others of the same session only follow. */
  readonly isTalking: boolean;
  readonly media: Media;
  readonly microphone: Microphone;
  /** The browser wants another click before it lets the agent be heard. */
  readonly isSilenced: boolean;
  readonly isRetryingAgent: boolean;
  /** Something that could not be done, and that nobody waits for any more. */
  readonly problem: Failure | null;
  readonly isDeleted: boolean;
  /** Whether the server can be reached, as far as the browser knows. */
  readonly isOnline: boolean;
}

/** How the sending of typed lines goes, which is done one by one to keep their order. */
export interface Sending {
  /** Failures in a row after which it is tried again. */
  readonly tries: number;
  /** It waits before the next try. */
  readonly isPausing: boolean;
}

const OFF: Stream = { is: "off", tries: 0 };
export const NO_MEDIA: Media = { is: "off", tries: 0, problem: null };
export const NO_MICROPHONE: Microphone = { is: "off", problem: null, isMuted: false };
export const NOT_TRIED: Sending = { tries: 0, isPausing: false };

/** The microphone is closed; whether it was muted stays as it was. */
export function switchedOff(microphone: Microphone): Microphone {
  return { ...microphone, is: "off", problem: null };
}

/** Whether it was asked for and may still come. */
export function isAsked({ is }: Microphone): boolean {
  return is === "asking" || is === "prompting";
}

/** What one conversation of a page hands to the next. */
type Lasting = Pick<Conversation, "microphone" | "isOnline">;

const AT_FIRST: Lasting = { microphone: NO_MICROPHONE, isOnline: true };

/** A page on which nothing was said yet. */
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

/** The newer one of two versions of a session. */
export function newest(held: Session, known: Session | undefined): Session {
  return known !== undefined && known.version >= held.version ? known : held;
}

/** Whether the session can still be talked in. */
export function isRunning(state: Conversation): boolean {
  return state.session !== null && !isOver(state.session) && !state.isDeleted;
}

/** Whether the agent was there and is not now; the server asks for it by itself. */
export function isAgentGone({ session, wasAnswered }: Conversation): boolean {
  if (session === null || session.agentState != null || !wasAnswered) return false;
  return session.status === "ACTIVE" || session.status === "STARTING";
}

/** Whether what is said now reaches the agent: the microphone is open, and so is the way to it. */
export function isHeard(state: Conversation): boolean {
  const { microphone, media, session, isOnline } = state;
  const isOpen = microphone.is === "on" && !microphone.isMuted;
  const isOnItsWay = isOnline && media.is === "connected" && hearing(state) === "now";
  return isOpen && isOnItsWay && session?.agentState != null;
}

/** What becomes of what the microphone hears: nothing, or it waits until that is known. */
export type Hearing = "no" | "later" | "now";

/** Whether what the microphone hears belongs to the conversation; also while the line is away,
 * because then it is kept and sent later. While the conversation is saved it may turn out to. */
export function hearing(state: Conversation): Hearing {
  const { isTalking, session, transcript } = state;
  if (!isTalking || session?.status !== "ACTIVE" || !transcript.isCaughtUp) return "no";
  return isSaving(state) && !isHeldBack(state) ? "later" : "now";
}

/** Whether a save waits until the person has said what they are saying. */
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

/** Whether more of a line may come. */
export function isSpoken(state: Conversation, line: Utterance): boolean {
  if (line.isFinal || !isRunning(state) || isAgentGone(state)) return false;
  if (state.session?.status === "FAILED") return false;
  const cutOff = state.cutOff.get(line.id);
  return cutOff === undefined || line.revision > cutOff;
}

/** What kept a request from being done is over, if it was one of these. */
export function cleared(state: Conversation, ...kinds: FailureKind[]): Conversation {
  const { request } = state;
  if (!request?.failure || request.isClear || !kinds.includes(request.failure.kind)) return state;
  return { ...state, request: { ...request, isClear: true } };
}

/** What failed and is still open: what a stream has told needs no answer any more. */
export function openFailure({ request, session }: Conversation): Request | null {
  if (!request?.failure) return null;
  // The conversation before is kept; only the next one is missing.
  const isKept = session !== null && isOver(session);
  return request.kind === "next" && isKept ? { ...request, kind: "start" } : request;
}

/** What somebody has to be told beside the words. */
export type Concern = "request" | "no-agent" | "agent-gone" | "line" | "microphone" | "silenced";

/** The one that matters most: what is behind it is told when it has been dealt with. */
export function concern(state: Conversation): Concern | null {
  if (state.request?.failure) return "request";
  if (state.session?.status === "FAILED") return "no-agent";
  if (isAgentGone(state)) return "agent-gone";
  if (!state.isTalking) return null;
  if (state.media.problem === "refused") return "line";
  if (state.microphone.is === "problem") return "microphone";
  return state.isSilenced ? "silenced" : null;
}

/** What still keeps the person from talking; null when nothing does. */
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
  // A stream that was lost is back only when something has come on it.
  if (!state.isOnline || state.words.is !== "open" || state.words.tries > 0) return "reconnect";
  if (!state.isTalking) return "follow";
  if (session.status === "FAILED") return "retry";
  if (!state.transcript.isCaughtUp) return "transcript";
  if (state.media.is !== "connected") return "sound";
  if (session.status !== "ACTIVE") return "agent";
  return null;
}

/** Whether speech is taken, and what is typed goes at once. */
export function isReady(state: Conversation): boolean {
  return pendingStep(state) === null && !isSaving(state);
}

/** Whether lines can be typed; they may have to wait. */
export function canType(state: Conversation): boolean {
  return isRunning(state) && state.isTalking && !isSaving(state);
}
