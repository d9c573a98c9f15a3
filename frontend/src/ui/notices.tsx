/** What went wrong, each with its way on; they stay until they are dealt with. */
import type { ReactNode } from "react";

import { useApp } from "../app/context.ts";
import type { Conversation } from "../conversation/state.ts";
import { MICROPHONE, NOTHING_LOST, problem, requestFailure } from "../conversation/words.ts";
import { Icon } from "./icons.tsx";

interface NoticeProps {
  tone?: "danger" | "plain";
  title: string;
  children?: ReactNode;
  action?: { label: string; run(): void; isBusy?: boolean };
  onDismiss?(): void;
}

export function Notice({ tone = "plain", title, children, action, onDismiss }: NoticeProps) {
  return (
    <div className="notice" data-tone={tone} role={tone === "danger" ? "alert" : "status"}>
      <Icon name="warning" />
      <div className="notice-words">
        <p className="notice-title">{title}</p>
        {children && <p>{children}</p>}
      </div>
      <div className="notice-ways">
        {action && (
          <button type="button" className="button" disabled={action.isBusy} onClick={action.run}>
            <Icon name="retry" size={18} />
            {action.label}
          </button>
        )}
        {onDismiss && (
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={onDismiss}>
            <Icon name="close" size={18} />
          </button>
        )}
      </div>
    </div>
  );
}

export function Notices({ state }: { state: Conversation }) {
  return (
    <div className="notices">
      <RequestFailed state={state} />
      <NoAgent state={state} />
      <NoMicrophone state={state} />
      <NoSound state={state} />
    </div>
  );
}

export function RequestFailed({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const { request } = state;
  if (!request?.failure) return null;
  return (
    <Notice
      tone="danger"
      title={requestFailure(request.kind, request.failure)}
      action={{ label: "Retry", run: () => driver.dispatch({ type: "retryRequest" }) }}
      onDismiss={() => driver.dispatch({ type: "dismissFailure" })}
    >
      {request.kind === "start" ? null : NOTHING_LOST}
    </Notice>
  );
}

function NoAgent({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const { session } = state;
  const isLost = session?.status === "ACTIVE" && session.agentState === null;
  if (session?.status !== "FAILED" && !isLost) return null;
  const failure = session.failure;
  return (
    <Notice
      tone={failure ? "danger" : "plain"}
      title={failure ? "The agent is not available." : "The agent is gone for the moment."}
      action={{
        label: "Retry",
        isBusy: state.isRetryingAgent,
        run: () => driver.dispatch({ type: "retryAgent" }),
      }}
    >
      {failure ? failure.message : "What was said is kept. It is asked to come back."}
      {state.problem && ` ${problem(state.problem)}`}
    </Notice>
  );
}

function NoMicrophone({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const { problem: what } = state.microphone;
  if (state.microphone.is !== "problem" || what === null || !state.isTalking) return null;
  return (
    <Notice
      title={MICROPHONE[what].what}
      action={{ label: "Try again", run: () => driver.dispatch({ type: "retryMicrophone" }) }}
    >
      {MICROPHONE[what].way}
    </Notice>
  );
}

function NoSound({ state }: { state: Conversation }) {
  const { driver, sound } = useApp();
  if (state.media.is === "stopped" && state.media.problem === "refused" && state.isTalking) {
    return (
      <Notice
        tone="danger"
        title="The line for sound was refused."
        action={{ label: "Connect again", run: () => driver.dispatch({ type: "talkHere" }) }}
      >
        {state.problem ? problem(state.problem) : "What was said is kept."}
      </Notice>
    );
  }
  if (!state.isSilenced || !state.isTalking) return null;
  return (
    <Notice
      title="The browser waits for a click before it lets you hear the agent."
      action={{ label: "Hear the agent", run: () => sound.unlock() }}
    />
  );
}
