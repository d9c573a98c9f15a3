/** The audio line between the person and the agent. */
import type { Failure } from "../../shared/api/failure.ts";
import { backoffMs } from "./backoff.ts";
import type { Answer, Effect, Step } from "./events.ts";
import { changed, talkHere } from "./session.ts";
import { type Connection, type Conversation, isRunning, type Media, switchedOff } from "./state.ts";

/** Close codes of docs/audio-protocol.md that need special handling. */
const UNAUTHENTICATED = 4401;
const FENCED = 4409;

/** Consecutive refused tokens before the person is asked. */
const MOST_REFUSALS = 3;

const LINELESS = new Set<Media["is"]>(["off", "stopped", "waiting"]);

const CONNECTING: Media = { is: "connecting", tries: 0, problem: null };

export function joined(state: Conversation, answer: Answer & { type: "joined" }): Step {
  const [next, effects] = changed(state, answer.session);
  if (state.media.is !== "joining" || !state.isTalking) return [next, effects];
  return connect(next, effects, answer.connection);
}

function connect(state: Conversation, before: Effect[], connection: Connection): Step {
  return [
    { ...state, media: { ...CONNECTING, tries: state.media.tries } },
    [...before, { do: "openMedia", epoch: state.epoch, connection }],
  ];
}

/** A fresh token could not be obtained. */
export function notJoined(state: Conversation, failure: Failure): Step {
  if (state.media.is !== "joining") return [state, []];
  if (failure.kind === "signed-out")
    return [{ ...state, media: stopped("refused") }, [{ do: "tellSignedOut" }]];
  // The session has ended; its own stream reports that.
  if (failure.kind === "conflict") return [{ ...state, media: off() }, []];
  if (failure.kind === "forbidden" || failure.kind === "not-found" || failure.kind === "invalid")
    return [{ ...state, media: stopped("refused"), problem: failure }, []];
  return waitForMedia(state);
}

export function mediaConnected(state: Conversation): Step {
  if (state.media.is !== "connecting") return [state, []];
  return [{ ...state, media: { is: "connected", tries: 0, problem: null } }, []];
}

export function mediaInterrupted(state: Conversation): Step {
  if (state.media.is !== "connected") return [state, []];
  return [{ ...state, media: { ...CONNECTING, tries: 1 } }, []];
}

/** The audio line broke or was taken over by another window. */
export function mediaLost(state: Conversation, answer: Answer & { type: "mediaLost" }): Step {
  if (state.media.is !== "connecting" && state.media.is !== "connected") return [state, []];
  if (answer.code === FENCED) {
    const microphone = switchedOff(state.microphone);
    return [
      { ...state, media: stopped("elsewhere"), isTalking: false, microphone },
      [{ do: "closeMedia" }, { do: "closeMicrophone" }, { do: "remember", sessionId: null }],
    ];
  }
  const isExpired = answer.code === UNAUTHENTICATED && state.media.tries < MOST_REFUSALS;
  if (!answer.isTerminal || isExpired) return waitForMedia(state);
  if (!isRunning(state)) return [{ ...state, media: off() }, []];
  return [{ ...state, media: stopped("refused") }, []];
}

/** Access is lost, and the mute and end buttons with it: closes audio until somebody is back. */
export function hush(state: Conversation): Step {
  const isQuiet = state.media.is === "off" || state.media.is === "stopped";
  if (isQuiet && state.microphone.is === "off") return [state, []];
  const microphone = switchedOff(state.microphone);
  const media: Media = isQuiet ? state.media : { is: "stopped", tries: 0, problem: null };
  return [{ ...state, media, microphone }, [{ do: "closeMedia" }, { do: "closeMicrophone" }]];
}

function waitForMedia(state: Conversation): Step {
  if (!hasMedia(state)) return [{ ...state, media: off() }, []];
  const tries = state.media.tries + 1;
  return [
    { ...state, media: { is: "waiting", tries, problem: null } },
    [{ do: "wait", epoch: state.epoch, timer: "media", atMostMs: backoffMs(tries) }],
  ];
}

/** Whether a line is possible: without an agent there is none until the next one comes. */
function hasMedia(state: Conversation): boolean {
  return isRunning(state) && state.session?.status !== "FAILED";
}

/** Rejoins after the pause with a fresh token, because the old one may have expired. */
export function joinAgain(state: Conversation): Step {
  if (state.media.is !== "waiting" || state.session === null) return [state, []];
  if (!hasMedia(state)) return [{ ...state, media: off() }, []];
  return [
    { ...state, media: { ...state.media, is: "joining" } },
    [{ do: "join", epoch: state.epoch, sessionId: state.session.id }],
  ];
}

export function retryAgent(state: Conversation): Step {
  if (state.session === null || state.isRetryingAgent || !isRunning(state)) return [state, []];
  return [
    { ...state, isRetryingAgent: true, problem: null },
    [{ do: "retryAgent", epoch: state.epoch, sessionId: state.session.id }],
  ];
}

export function agentAsked(state: Conversation, answer: Answer & { type: "agentAsked" }): Step {
  const asked = { ...state, isRetryingAgent: false };
  const [next, effects] = changed({ ...asked, isRetryingAgent: true }, answer.session);
  const done = { ...next, isRetryingAgent: false };
  const needsMedia = done.isTalking && LINELESS.has(done.media.is);
  if (answer.connection === null || !needsMedia) return [done, effects];
  return connect(done, effects, answer.connection);
}

export function agentRefused(state: Conversation, failure: Failure): Step {
  const refused = { ...state, isRetryingAgent: false };
  // A session that has not failed has its agent or is about to get it, also if only the answer was
  // lost: open the line. Not after a sign-out: the microphone is off then.
  const isLineless = refused.isTalking && refused.media.is === "off";
  if (isLineless && hasMedia(refused) && refused.microphone.is !== "off") return talkHere(refused);
  if (failure.kind === "conflict") return [refused, []];
  if (failure.kind === "signed-out") return [refused, [{ do: "tellSignedOut" }]];
  return [{ ...refused, problem: failure }, [{ do: "log", what: "retry of the agent", failure }]];
}

function off(): Media {
  return { is: "off", tries: 0, problem: null };
}

function stopped(problem: "elsewhere" | "refused"): Media {
  return { is: "stopped", tries: 0, problem };
}
