/** Sound and the agent: the line that carries the one to the other. */
import type { Failure } from "../../shared/api/failure.ts";
import { backoffMs } from "./backoff.ts";
import type { Answer, Effect, Step } from "./events.ts";
import { changed, talkHere } from "./session.ts";
import { type Connection, type Conversation, isRunning, type Media, switchedOff } from "./state.ts";

/** Close codes of docs/audio-protocol.md that this page has to tell apart. */
const UNAUTHENTICATED = 4401;
const FENCED = 4409;

/** Tokens that are refused in a row before the person is asked. */
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

/** A fresh token could not be had. */
export function notJoined(state: Conversation, failure: Failure): Step {
  if (state.media.is !== "joining") return [state, []];
  if (failure.kind === "signed-out")
    return [{ ...state, media: stopped("refused") }, [{ do: "tellSignedOut" }]];
  // The session has ended, which its own stream tells.
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

/** The line for sound broke, or was taken over by another window. */
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

/** Access is gone, and with it what mutes and ends: nothing is heard until somebody is back. */
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

/** Without an agent there is no line; it comes with the next one. */
function hasMedia(state: Conversation): boolean {
  return isRunning(state) && state.session?.status !== "FAILED";
}

/** The pause is over: with a fresh token, because the old one may have expired meanwhile. */
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
  // It has its agent, or is about to get it: that is what was wanted.
  // So it is where only the answer was lost; the line of that agent is still to be opened. Not
  // for who is signed out: their microphone is off.
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
