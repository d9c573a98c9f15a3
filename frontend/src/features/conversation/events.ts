/** Events and effects of the conversation's state machine. */
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

/** The person's actions. The caller creates the keys, so that the machine is deterministic. */
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
      /** Typed lines that this page could not send before it was reloaded. */
      unsent?: readonly Unsent[];
    }
  | { type: "talkHere" }
  | { type: "say"; key: string; text: string; at: string }
  | { type: "sayAgain"; key: string }
  | { type: "takeBack"; key: string }
  | { type: "mute"; isMuted: boolean }
  | { type: "retryMicrophone" }
  /** Somebody is signed in (again): reopens what lost access. */
  | { type: "signedIn" }
  /** The login ended, but the person did not leave the conversation. */
  | { type: "signedOut" }
  | { type: "leave" };

/** Results of effects; `epoch` identifies the conversation that asked for them. */
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
  /** The line was interrupted and reconnects by itself. */
  | { type: "mediaInterrupted" }
  | { type: "mediaLost"; code: number; isTerminal: boolean }
  | { type: "time"; timer: Timer }
);

export type Occurrence =
  /** `isPrompting`: the browser shows its permission prompt. */
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
  /** Uploads messages of an ended conversation that the server may lack. */
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
  /** Runs `timer` after `atMostMs` if `isExact`, else after a random 50–100 % of that. */
  | { do: "wait"; epoch: number; timer: Timer; atMostMs: number; isExact?: boolean }
  /** Sets the session that this page rejoins after a reload. */
  | { do: "remember"; sessionId: string | null }
  | { do: "show"; sessionId: string }
  /** This page has left the conversation. */
  | { do: "hide"; sessionId: string | null }
  /** `wasUsed`: the person said something, or may have. */
  | { do: "tellSaved"; saved: Saved; then: "next" | "end"; wasUsed: boolean }
  | { do: "tellSignedOut" }
  | { do: "log"; what: string; failure: Failure };

export interface Previous {
  readonly sessionId: string;
  readonly messages: MessageInput[];
}

export type Step = [state: import("./state.ts").Conversation, effects: Effect[]];
