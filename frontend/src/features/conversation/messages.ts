/** Chooses the texts for a conversation's state; the texts themselves are in `texts.ts`. */
import type { Failure } from "../../shared/api/failure.ts";
import * as texts from "../../texts.ts";
import { waitsFor } from "./lines.ts";
import {
  type Conversation,
  isAgentGone,
  isAsked,
  isHeard,
  isHeldBack,
  isRunning,
  isSaving,
  pendingStep,
  type Request,
  type Session,
} from "./state.ts";

type FailedRequest = Pick<Request, "kind" | "failure" | "isClear">;

/** Says why a request failed, or that it can be repeated now. */
export function requestFailure({ kind, failure, isClear }: FailedRequest): string {
  if (failure === null) return "";
  const isStart = kind === "start";
  if (isClear) {
    const now = failure.kind === "signed-out" ? texts.signedInAgain : texts.connectedAgain;
    return isStart ? now.start : now.save;
  }
  const sentence = (isStart ? texts.notStarted : texts.notSaved)[failure.kind];
  const hasOwnWords = failure.kind === "busy" || failure.kind === "invalid";
  return hasOwnWords && failure.message ? `${sentence} ${failure.message}` : sentence;
}

/** Says what went wrong: in the server's words if only it knows more, such as how long to wait. */
export function problem({ kind, message }: Failure): string {
  const isWorded = kind === "invalid" || kind === "conflict" || kind === "busy";
  return isWorded && message ? message : texts.problems[kind];
}

export type Tone =
  | "idle"
  | "busy"
  | "asking"
  | "off"
  | "listening"
  | "thinking"
  | "speaking"
  | "problem";

export interface Status {
  tone: Tone;
  text: string;
}

/** The status line: first what keeps the person from being heard, then the agent's state. */
export function status(state: Conversation): Status {
  const step = pendingStep(state);
  if (!state.isOnline && isRunning(state)) return { tone: "busy", text: texts.statusOffline };
  if (isHeldBack(state)) return { tone: "busy", text: texts.statusFinishSentence };
  if (isSaving(state)) return { tone: "busy", text: texts.saving };
  const isOurs = step !== "session" && step !== "over" && step !== "reconnect" && step !== "follow";
  if (isOurs && state.microphone.is === "prompting")
    return { tone: "asking", text: texts.statusAllowMicrophone };
  switch (step) {
    case "session":
      return state.request && !state.request.failure
        ? { tone: "busy", text: texts.starting }
        : { tone: "idle", text: texts.statusNotStarted };
    case "over":
      return { tone: "idle", text: ended(state) };
    case "follow":
      return { tone: "idle", text: texts.statusFollowing };
    case "reconnect":
      return { tone: "busy", text: texts.statusReconnecting };
    case "retry":
      return { tone: "problem", text: texts.statusAgentUnavailable };
    case "transcript":
      return { tone: "busy", text: texts.statusLoading };
    case "sound":
      if (state.media.is === "stopped") return { tone: "problem", text: texts.statusNoSound };
      return {
        tone: "busy",
        text: state.media.tries ? texts.statusReconnecting : texts.statusConnecting,
      };
    case "agent":
      return { tone: "busy", text: texts.statusWaiting };
    case null:
      return agent(state);
  }
}

function agent(state: Conversation): Status {
  switch (state.session?.agentState) {
    case "LISTENING":
      return listening(state);
    case "THINKING":
      return { tone: "thinking", text: texts.statusThinking };
    case "SPEAKING":
      return { tone: "speaking", text: texts.statusSpeaking };
    case "INITIALIZING":
      return { tone: "busy", text: texts.statusGettingReady };
    default:
      return { tone: "busy", text: texts.statusWaiting };
  }
}

/** The status while the agent listens; it may still not hear the person. */
function listening(state: Conversation): Status {
  const { microphone } = state;
  if (isHeard(state)) return { tone: "listening", text: texts.statusListening };
  if (isAsked(microphone)) return { tone: "busy", text: texts.statusGettingReady };
  const isMuted = microphone.is === "on" && microphone.isMuted;
  return { tone: "off", text: isMuted ? texts.statusMuted : texts.statusMicrophoneOff };
}

/** Says when an unsent line will be sent. */
export function waiting(state: Conversation): string {
  switch (waitsFor(state)) {
    case "network":
      return texts.transcriptSendsOnline;
    case "connection":
      return texts.transcriptSendsConnected;
    case "agent":
      return texts.transcriptSendsToAgent;
    case "sound":
      return texts.transcriptSendsWithSound;
    default:
      return texts.transcriptSending;
  }
}

const isOpen = ({ microphone }: Conversation) => microphone.is === "on" && !microphone.isMuted;

/** The text field's placeholder. */
export function invitation(state: Conversation): string {
  if (isSaving(state)) return texts.saving;
  switch (pendingStep(state)) {
    case "session":
      return texts.inviteOneMoment;
    case "over":
      return texts.inviteOver;
    case "follow":
      return texts.inviteElsewhere;
    case null:
      if (isAgentGone(state)) return texts.inviteMeanwhile;
      return isOpen(state) ? texts.inviteSpeakOrType : texts.inviteType;
    default:
      return texts.inviteMeanwhile;
  }
}

/** What an empty transcript shows. */
export function nothingYet(state: Conversation): { what: string; way: string } {
  const step = pendingStep(state);
  if (!state.isOnline && isRunning(state)) return texts.nothingYet.offline;
  if (step !== "over" && step !== "follow" && state.microphone.is === "prompting")
    return texts.nothingYet.allow;
  switch (step) {
    case "over":
      return texts.nothingYet.over;
    case "follow":
      return texts.nothingYet.elsewhere;
    case "retry":
      return texts.nothingYet.noAgent;
    case null:
      if (isAgentGone(state)) break;
      return isOpen(state) ? texts.nothingYet.speak : texts.nothingYet.type;
  }
  return texts.nothingYet.almost;
}

/** Says on other pages that the conversation has not ended. */
export function stillTalking({ microphone, isOnline }: Conversation): string {
  if (microphone.is !== "on" || !isOnline) return texts.stillTalkingSilent;
  return microphone.isMuted ? texts.stillTalkingMuted : texts.stillTalkingAloud;
}

const WHY_NO_AGENT: Record<string, string> = {
  AGENT_TIMEOUT: texts.agentTimeout,
  AGENT_UNAVAILABLE: texts.agentUnavailable,
};

/** Says why there is no agent. The server's message is for operators and goes to the console. */
export function noAgent(session: Session): string {
  const why = WHY_NO_AGENT[session.failure?.code ?? ""] ?? texts.agentUnknown;
  return session.startedAt == null ? why : `${why} ${texts.isSaved}`;
}

/** The server's default title. */
export const NEW_CONVERSATION = "New Conversation";

/** A conversation's name: its title, or its preview instead of the default title. */
export function nameOf({ title, preview }: Pick<Session, "title" | "preview">): string {
  return (title === NEW_CONVERSATION && preview) || title;
}

function ended(state: Conversation): string {
  if (state.isDeleted) return texts.statusDeleted;
  switch (state.session?.endReason) {
    case "AGENT_LEFT":
      return texts.statusAgentLeft;
    case "ABANDONED":
      return texts.statusAbandoned;
    case "START_FAILED":
      return texts.statusStartFailed;
    default:
      return texts.statusSaved;
  }
}
