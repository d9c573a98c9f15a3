/** The conversation's state machine: maps a state and an event to the next state and effects. */
import type { Answer, Event, Occurrence, Step, Wish } from "./events.ts";
import * as lines from "./lines.ts";
import * as request from "./request.ts";
import * as session from "./session.ts";
import { type Conversation, cleared, isAsked } from "./state.ts";
import * as talk from "./talk.ts";

/** Handles one event; returns the same state if nothing changes. */
export function step(state: Conversation, event: Event): Step {
  if ("epoch" in event) {
    // An answer for a previous conversation.
    if (event.epoch !== state.epoch) return [state, []];
    return goingOn(answered(state, event));
  }
  return goingOn(happened(state, event));
}

/** Sends a held-back save and the next typed line if the event made that possible. */
function goingOn([state, effects]: Step): Step {
  const [saving, saves] = request.letGo(state, false);
  const [next, sending] = lines.sendNext(saving);
  return [next, [...effects, ...saves, ...sending]];
}

function happened(state: Conversation, event: Wish | Occurrence): Step {
  switch (event.type) {
    case "start":
    case "newChat":
      return request.request(state, hasOne(state) ? "next" : "start", event.key);
    case "end":
      return request.request(state, "end", event.key);
    case "retryRequest":
      return request.retry(state);
    case "dismissFailure":
      return dismiss(state);
    case "signedIn":
      return back(state);
    case "signedOut":
      return talk.hush(state);
    case "leave":
      return request.leave(state);
    case "attach":
      return session.attach(state, event.session, event.isTalking, event.unsent);
    case "talkHere":
      return session.talkHere(state);
    case "retryAgent":
      return talk.retryAgent(state);
    case "say":
      return lines.say(state, event.key, event.text, event.at);
    case "sayAgain":
      return lines.sayAgain(state, event.key);
    case "takeBack":
      return lines.takeBack(state, event.key);
    default:
      return equipment(state, event);
  }
}

/** Handles events of this machine's microphone, loudspeaker and network. */
function equipment(
  state: Conversation,
  event: Exclude<Occurrence, never> | Extract<Wish, { type: "mute" | "retryMicrophone" }>,
): Step {
  const { microphone } = state;
  switch (event.type) {
    case "mute":
      return [
        { ...state, microphone: { ...microphone, isMuted: event.isMuted } },
        [{ do: "mute", isMuted: event.isMuted }],
      ];
    case "retryMicrophone":
      return [
        { ...state, microphone: { ...microphone, is: "asking", problem: null } },
        [{ do: "openMicrophone" }],
      ];
    case "microphoneAsked":
      return microphoneAsked(state, event.isPrompting);
    case "microphoneOn":
      return [{ ...state, microphone: { ...microphone, is: "on", problem: null } }, []];
    case "microphoneFailed":
      return [
        { ...state, microphone: { ...microphone, is: "problem", problem: event.problem } },
        [],
      ];
    case "silenced":
      return [{ ...state, isSilenced: event.isSilenced }, []];
    case "online":
      return online(state);
    case "offline":
      return [{ ...state, isOnline: false }, []];
  }
}

/** Also runs when another microphone is chosen. The prompt may be reported after it has closed. */
function microphoneAsked(state: Conversation, isPrompting: boolean): Step {
  const { microphone } = state;
  const is = isPrompting ? "prompting" : "asking";
  const isStale = isPrompting ? microphone.is !== "asking" : isAsked(microphone);
  return [isStale ? state : { ...state, microphone: { ...microphone, is, problem: null } }, []];
}

/** The network is back: ends all retry pauses. */
function online(state: Conversation): Step {
  const back = cleared(lines.goOn(state), "network", "timeout");
  const isNews = !back.isOnline;
  const [withWords, words] = session.resume(isNews ? { ...back, isOnline: true } : back, "words");
  const [withUpdates, updates] = session.resume(withWords, "updates");
  const [next, media] = talk.joinAgain(withUpdates);
  return [next, [...words, ...updates, ...media]];
}

/** Access is back: reopens the streams and rejoins the audio. */
function back(state: Conversation): Step {
  const [withWords, words] = session.reopen(cleared(state, "signed-out"), "words");
  const [withUpdates, updates] = session.reopen(withWords, "updates");
  const { isTalking, media: line, microphone } = withUpdates;
  const isCut = isTalking && (line.is === "stopped" || microphone.is === "off");
  const [next, media] = isCut ? session.talkHere(withUpdates) : ([withUpdates, []] as const);
  return [next, [...words, ...updates, ...media]];
}

const hasOne = (state: Conversation) => state.session !== null && !state.isDeleted;

function dismiss(state: Conversation): Step {
  if (state.request?.failure) return [{ ...state, request: null, problem: null }, []];
  return [{ ...state, problem: null }, []];
}

function answered(state: Conversation, answer: Answer): Step {
  switch (answer.type) {
    case "chatStarted":
      return request.started(state, answer);
    case "chatSaved":
      return request.saved(state, answer);
    case "requestFailed":
      return request.failed(state, answer.failure);
    case "joined":
      return talk.joined(state, answer);
    case "joinFailed":
      return talk.notJoined(state, answer.failure);
    case "agentAsked":
      return talk.agentAsked(state, answer);
    case "agentRefused":
      return talk.agentRefused(state, answer.failure);
    case "said":
      return lines.said(state, answer);
    case "notSaid":
      return lines.notSaid(state, answer.key, answer.failure);
    case "handedIn":
      return lines.handedIn(state);
    case "notHandedIn":
      return lines.notHandedIn(state);
    case "mediaConnected":
      return talk.mediaConnected(state);
    case "mediaInterrupted":
      return talk.mediaInterrupted(state);
    case "mediaLost":
      return talk.mediaLost(state, answer);
    case "words":
      return session.heard(state, answer);
    case "wordsLost":
      return session.lost(state, "words", answer.failure);
    case "update":
      return session.updated(state, answer);
    case "updatesLost":
      return session.lost(state, "updates", answer.failure);
    case "time":
      return timeIsUp(state, answer.timer);
  }
}

function timeIsUp(state: Conversation, timer: (Answer & { type: "time" })["timer"]): Step {
  switch (timer) {
    case "request":
      return request.sendAgain(state);
    case "words":
    case "updates":
      return session.resume(state, timer);
    case "media":
      return talk.joinAgain(state);
    case "agent":
      return session.agentIsLate(state);
    case "lines":
      return [lines.goOn(state), []];
    case "sentence":
      return request.letGo(state, true);
  }
}
