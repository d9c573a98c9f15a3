/** Every sentence that a conversation may have to say to a person, in one place. */
import type { Failure, FailureKind } from "../api/failure.ts";
import {
  type Conversation,
  isAgentGone,
  isSaving,
  type MicrophoneProblem,
  pendingStep,
  type Request,
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

/** After "You are signed out", which is not so any more. */
const SIGNED_IN = {
  start: "You were signed out. Now that you are back, a conversation can be started.",
  save: "You were signed out, so this conversation is not saved yet. Now it can be.",
};

type FailedRequest = Pick<Request, "kind" | "failure" | "isClear">;

/** What happened, and that nothing is lost. */
export function requestFailure({ kind, failure, isClear }: FailedRequest): string {
  if (failure === null) return "";
  if (isClear) return SIGNED_IN[kind === "start" ? "start" : "save"];
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
    way: "Allow it in the browser, beside the address, then try again. Typing works without it.",
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
    what: "This page is not secure: the browser gives it no microphone and no sound.",
    way: "Open it by https, or as localhost. Typing works here too.",
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
    case "reconnect":
      return { tone: "busy", text: "Reconnecting…" };
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
      return { tone: "busy", text: "Waiting for the agent…" };
  }
}

/** What the text field says while it is empty. */
export function invitation(state: Conversation): string {
  switch (pendingStep(state)) {
    case "session":
      return "One moment…";
    case "over":
      return "This conversation has ended";
    case "follow":
      return "You talk in another window";
    case "retry":
      return "No agent yet";
    case null:
      if (isSaving(state)) return "Saving…";
      if (isAgentGone(state)) return "Type here meanwhile";
      return state.microphone.is === "on" ? "Speak, or type here" : "Type here";
    default:
      return status(state).text;
  }
}

export const TOO_LONG =
  "This is too long to be sent at once (more than 32 kB). Send it in parts: nothing of it is lost.";

/** What stands where nothing was said yet. */
export function nothingYet(state: Conversation): { what: string; way: string } {
  switch (pendingStep(state)) {
    case "over":
      return { what: "Nothing was said", way: "A new chat begins another conversation." };
    case "follow":
      return { what: "Nothing was said yet", way: "What is said will appear here as well." };
    case "retry":
      return { what: "No agent yet", way: "You can speak as soon as one is here." };
    case null:
      if (isAgentGone(state)) break;
      return state.microphone.is === "on" && !state.microphone.isMuted
        ? { what: "Say something", way: "Your words appear here while you speak." }
        : { what: "Type something", way: "The agent reads it, and answers." };
  }
  return { what: "Almost there", way: "You can speak as soon as the agent is here." };
}

/** On another page: that the conversation has not ended. */
export function stillTalking({ microphone }: Conversation): string {
  if (microphone.is !== "on") return "Your conversation still goes on.";
  return microphone.isMuted
    ? "You are muted, and your conversation still goes on."
    : "You are still talking with the agent.";
}

const NO_AGENT: Record<string, string> = {
  AGENT_TIMEOUT: "It did not come in time. Try again, or in a while.",
  AGENT_UNAVAILABLE: "None is free just now. Try again, or in a while.",
};

/** Why nobody answers. The server's own words are for who runs it, and stand in the console. */
export function noAgent(session: Session): string {
  const why = NO_AGENT[session.failure?.code ?? ""] ?? "Try again, or in a while.";
  return session.startedAt == null ? why : `${why} What was said is kept.`;
}

const NEW_CONVERSATION = "New Conversation";

/** What tells a conversation from others: its title, or how it began if nobody gave it one. */
export function nameOf({ title, preview }: Pick<Session, "title" | "preview">): string {
  return (title === NEW_CONVERSATION && preview) || title;
}

function ended(state: Conversation): string {
  if (state.isDeleted) return "Deleted";
  switch (state.session?.endReason) {
    case "AGENT_LEFT":
      return "The agent has left";
    case "ABANDONED":
      return "Ended by itself";
    case "START_FAILED":
      return "Ended: no agent came";
    default:
      return "Saved";
  }
}
