/** What can happen to a conversation, and what it may ask to be done. */
import type { Failure } from "../../shared/api/failure.ts";
import type { MessageInput } from "../../shared/api/generated/graphql.ts";
import type { Connection, MicrophoneProblem, Session } from "./state.ts";
import type { TranscriptEvent, Unsent, Utterance } from "./transcript.ts";

export interface StreamEnd {
  reason: string;
  mayResume: boolean;
}

export interface Saved {
  isSaved: boolean;
  session: Session;
}

/** What the person does. Keys are made by the caller, so that the machine stays predictable. */
export type Wish =
  | { type: "start"; key: string }
  | { type: "newChat"; key: string }
  | { type: "end"; key: string }
  | { type: "retryRequest" }
  | { type: "dismissFailure" }
  | { type: "retryAgent" }
  | {
      type: "attach";
      session: Session;
      isTalking: boolean;
      /** What this page could not send in it before it was loaded again. */
      unsent?: readonly Unsent[];
    }
  | { type: "talkHere" }
  | { type: "say"; key: string; text: string; at: string }
  | { type: "sayAgain"; key: string }
  | { type: "takeBack"; key: string }
  | { type: "mute"; isMuted: boolean }
  | { type: "retryMicrophone" }
  /** Somebody is signed in (again); what access was lost to is opened anew. */
  | { type: "signedIn" }
  /** Nobody is signed in any more, without having left the conversation. */
  | { type: "signedOut" }
  | { type: "leave" };

/** What comes back; `epoch` is that of the conversation it was asked for in. */
export type Answer = { epoch: number } & (
  | { type: "chatStarted"; saved: Saved | null; session: Session; connection: Connection | null }
  | { type: "chatSaved"; saved: Saved }
  | { type: "requestFailed"; failure: Failure }
  | { type: "joined"; session: Session; connection: Connection }
  | { type: "joinFailed"; failure: Failure }
  | { type: "agentAsked"; session: Session; connection: Connection | null }
  | { type: "agentRefused"; failure: Failure }
  | { type: "said"; key: string; utterance: Utterance }
  | { type: "notSaid"; key: string; failure: Failure }
  | { type: "handedIn" }
  | { type: "notHandedIn" }
  | { type: "words"; event: TranscriptEvent; end: StreamEnd | null }
  | { type: "wordsLost"; failure: Failure | null }
  | { type: "update"; session: Session | null; isDeleted: boolean; end: StreamEnd | null }
  | { type: "updatesLost"; failure: Failure | null }
  | { type: "mediaConnected" }
  /** The line is away and comes back by itself. */
  | { type: "mediaInterrupted" }
  | { type: "mediaLost"; code: number; isTerminal: boolean }
  | { type: "time"; timer: Timer }
);

export type Occurrence =
  /** `isPrompting`: The browser asks the person for it. */
  | { type: "microphoneAsked"; isPrompting: boolean }
  | { type: "microphoneOn" }
  | { type: "microphoneFailed"; problem: MicrophoneProblem }
  | { type: "silenced"; isSilenced: boolean }
  | { type: "online" }
  | { type: "offline" };

export type Event = Wish | Answer | Occurrence;

export type Timer = "request" | "words" | "updates" | "media" | "agent" | "lines" | "sentence";

export type Effect =
  | { do: "startNewChat"; epoch: number; key: string; previous: Previous | null }
  | { do: "saveSession"; epoch: number; previous: Previous }
  /** What the server may lack of a conversation that is over. */
  | { do: "saveMore"; epoch: number; previous: Previous }
  | { do: "join"; epoch: number; sessionId: string }
  | { do: "retryAgent"; epoch: number; sessionId: string }
  | { do: "send"; epoch: number; sessionId: string; key: string; text: string }
  | { do: "openWords"; epoch: number; sessionId: string; after: string | null }
  | { do: "openUpdates"; epoch: number; sessionId: string }
  | { do: "closeStreams" }
  | { do: "openMedia"; epoch: number; connection: Connection }
  | { do: "closeMedia" }
  | { do: "openMicrophone" }
  | { do: "closeMicrophone" }
  | { do: "mute"; isMuted: boolean }
  /** Runs `timer` after a pause drawn at random up to this; 0 is now. */
  | { do: "wait"; epoch: number; timer: Timer; atMostMs: number; isExact?: boolean }
  /** Which session a reload of this page joins again. */
  | { do: "remember"; sessionId: string | null }
  | { do: "show"; sessionId: string }
  /** The conversation is not on this page any more. */
  | { do: "hide"; sessionId: string | null }
  /** `wasUsed`: The person said something in it. */
  | { do: "tellSaved"; saved: Saved; then: "next" | "end"; wasUsed: boolean }
  | { do: "tellSignedOut" }
  | { do: "log"; what: string; failure: Failure };

export interface Previous {
  readonly sessionId: string;
  readonly messages: MessageInput[];
}

export type Step = [state: import("./state.ts").Conversation, effects: Effect[]];
