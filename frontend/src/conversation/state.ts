/** What a conversation is to this page. Nothing here knows React, the network or the clock. */
import type { Failure } from "../api/failure.ts";
import type {
  ConnectionFieldsFragment,
  MessageInput,
  SessionFieldsFragment,
} from "../api/generated/graphql.ts";
import { NOTHING_SAID, type Pending, type Transcript } from "./transcript.ts";

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
  readonly is: "off" | "asking" | "on" | "problem";
  readonly problem: MicrophoneProblem | null;
  readonly isMuted: boolean;
}

export interface Conversation {
  /** Counts conversations of this page: an answer that was asked for in an older one is stale. */
  readonly epoch: number;
  readonly session: Session | null;
  readonly transcript: Transcript;
  readonly pending: readonly Pending[];
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
}

const OFF: Stream = { is: "off", tries: 0 };
export const NO_MEDIA: Media = { is: "off", tries: 0, problem: null };
export const NO_MICROPHONE: Microphone = { is: "off", problem: null, isMuted: false };

/** A page on which nothing was said yet. */
export function empty(epoch = 0, microphone: Microphone = NO_MICROPHONE): Conversation {
  return {
    epoch,
    session: null,
    transcript: NOTHING_SAID,
    pending: [],
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

/** Whether the session can still be talked in. */
export function isRunning(state: Conversation): boolean {
  return state.session !== null && !isOver(state.session) && !state.isDeleted;
}

/** What still keeps the person from talking; null when nothing does. */
export type Step = "session" | "transcript" | "sound" | "agent" | "retry" | "over" | "follow";

export function pendingStep(state: Conversation): Step | null {
  const { session } = state;
  if (session === null) return "session";
  if (!isRunning(state)) return "over";
  if (!state.isTalking) return "follow";
  if (session.status === "FAILED") return "retry";
  if (state.words.is !== "open" || !state.transcript.isCaughtUp) return "transcript";
  if (state.media.is !== "connected") return "sound";
  if (session.status !== "ACTIVE") return "agent";
  return null;
}

/** Whether speech and typed lines are taken. */
export function isReady(state: Conversation): boolean {
  return pendingStep(state) === null && !isSaving(state);
}
