/** Every sentence that a conversation may have to say to a person, in one place. */
import type { Failure, FailureKind } from "../api/failure.ts";
import {
  type Conversation,
  isSaving,
  type MicrophoneProblem,
  pendingStep,
  type Session,
} from "./state.ts";

const SAVING_FAILED: Record<FailureKind, string> = {
  network: "The server can't be reached, so this conversation is not saved yet.",
  timeout: "The server took too long to answer, so it is not certain that this is saved.",
  "signed-out": "You are signed out. Sign in again, then save this conversation.",
  forbidden: "This conversation belongs to somebody else, so it can't be saved by you.",
  "not-found": "The server does not know this conversation any more.",
  invalid: "The server did not accept this conversation.",
  conflict: "Something else is being done with this conversation.",
  busy: "The server has as much to do as it may.",
  server: "Something went wrong on the server, so this conversation is not saved yet.",
};

const STARTING_FAILED: Record<FailureKind, string> = {
  network: "The server can't be reached.",
  timeout: "The server took too long to answer.",
  "signed-out": "You are signed out. Sign in again, then start.",
  forbidden: "You may not begin a conversation here.",
  "not-found": "The server does not know what was asked for.",
  invalid: "The server did not accept this.",
  conflict: "Something else is being begun already.",
  busy: "The server has as much to do as it may.",
  server: "Something went wrong on the server.",
};

/** What happened, and that nothing is lost. */
export function requestFailure(kind: "start" | "next" | "end", failure: Failure): string {
  const told = kind === "start" ? STARTING_FAILED : SAVING_FAILED;
  const sentence = told[failure.kind];
  const hasOwnWords = failure.kind === "busy" || failure.kind === "invalid";
  return hasOwnWords && failure.message ? `${sentence} ${failure.message}` : sentence;
}

export const NOTHING_LOST = "Nothing is lost: everything stays here until it is saved.";

const PROBLEMS: Record<FailureKind, string> = {
  network: "The server can't be reached.",
  timeout: "The server took too long to answer.",
  "signed-out": "You are signed out.",
  forbidden: "This conversation is not yours.",
  "not-found": "There is no such conversation. It may have been deleted.",
  invalid: "The server did not accept this.",
  conflict: "That is not possible right now.",
  busy: "The server has as much to do as it may.",
  server: "Something went wrong on the server.",
};

export function problem(failure: Failure): string {
  const isWorded = failure.kind === "invalid" || failure.kind === "conflict";
  return isWorded && failure.message ? failure.message : PROBLEMS[failure.kind];
}

export const MICROPHONE: Record<MicrophoneProblem, { what: string; way: string }> = {
  denied: {
    what: "The microphone is blocked for this page.",
    way: "Allow it beside the address, then try again. Typing works without it.",
  },
  missing: {
    what: "No microphone was found.",
    way: "Plug one in and try again. Typing works without it.",
  },
  unplugged: {
    what: "The microphone was unplugged.",
    way: "Plug it in or choose another in Settings, then try again. Typing works meanwhile.",
  },
  insecure: {
    what: "Browsers give the microphone to secure pages only.",
    way: "Open this page by https, or as localhost. Typing works here too.",
  },
  failed: {
    what: "The microphone could not be opened.",
    way: "Perhaps another program holds it. Close that and try again; typing works meanwhile.",
  },
};

export type Tone = "idle" | "busy" | "listening" | "thinking" | "speaking" | "problem";

export interface Status {
  tone: Tone;
  text: string;
}

/** What is going on, in words. */
export function status(state: Conversation): Status {
  if (isSaving(state)) return { tone: "busy", text: "Saving…" };
  const { session } = state;
  switch (pendingStep(state)) {
    case "session":
      return state.request && !state.request.failure
        ? { tone: "busy", text: "Starting…" }
        : { tone: "idle", text: "Not started" };
    case "over":
      return { tone: "idle", text: ended(state) };
    case "follow":
      return { tone: "idle", text: "Following along" };
    case "retry":
      return { tone: "problem", text: "Agent not available" };
    case "transcript":
      return { tone: "busy", text: "Loading what was said…" };
    case "sound":
      if (state.media.is === "stopped") return { tone: "problem", text: "No sound" };
      return { tone: "busy", text: state.media.tries ? "Reconnecting…" : "Connecting sound…" };
    case "agent":
      return { tone: "busy", text: "Waiting for the agent…" };
    case null:
      return agent(state, session);
  }
}

function agent(state: Conversation, session: Session | null): Status {
  switch (session?.agentState) {
    case "LISTENING":
      if (state.microphone.is === "on" && state.microphone.isMuted)
        return { tone: "idle", text: "Muted" };
      return { tone: "listening", text: "Listening" };
    case "THINKING":
      return { tone: "thinking", text: "Thinking" };
    case "SPEAKING":
      return { tone: "speaking", text: "Speaking" };
    case "INITIALIZING":
      return { tone: "busy", text: "Getting ready…" };
    default:
      return { tone: "problem", text: "Agent not available" };
  }
}

function ended(state: Conversation): string {
  if (state.isDeleted) return "Deleted";
  switch (state.session?.endReason) {
    case "AGENT_LEFT":
      return "The agent has left";
    case "ABANDONED":
      return "Ended: nobody was here";
    case "START_FAILED":
      return "Ended: no agent came";
    default:
      return "Saved";
  }
}
