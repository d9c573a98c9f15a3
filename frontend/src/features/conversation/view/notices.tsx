/** Problems, each with a remedy; they stay until they are dealt with. */
import { type ReactNode, useRef } from "react";

import { useApp } from "../../../app/context.ts";
import { useFocusHandedOn } from "../../../shared/ui/focus.ts";
import { Icon, type IconName } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";
import { noAgent, problem, requestFailure } from "../messages.ts";
import { type Conversation, concern, openFailure } from "../state.ts";

interface NoticeProps {
  tone?: "danger" | "plain";
  title: string;
  children?: ReactNode;
  action?: { label: string; run(): void; isBusy?: boolean; icon?: IconName };
  onDismiss?(): void;
}

export function Notice({ tone = "plain", title, children, action, onDismiss }: NoticeProps) {
  const ref = useRef<HTMLDivElement>(null);
  useFocusHandedOn(ref);
  return (
    <div
      className="notice"
      ref={ref}
      data-tone={tone}
      role={tone === "danger" ? "alert" : "status"}
    >
      <Icon name="warning" />
      <div className="notice-words">
        <p className="notice-title">{title}</p>
        {children && <p>{children}</p>}
      </div>
      <div className="notice-ways">
        {action && (
          <button
            type="button"
            className="button"
            aria-disabled={action.isBusy}
            onClick={action.run}
          >
            <Icon name={action.icon ?? "retry"} size={18} />
            {action.label}
          </button>
        )}
        {onDismiss && (
          <button
            type="button"
            className="icon-button"
            aria-label={texts.dismiss}
            onClick={onDismiss}
          >
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
      <Foremost state={state} />
    </div>
  );
}

function Foremost({ state }: { state: Conversation }) {
  switch (concern(state)) {
    case "request":
      return <RequestFailed state={state} />;
    case "no-agent":
      return <NoAgent state={state} />;
    case "agent-gone":
      // No "Try again": the server calls the agent back by itself and reports if that fails.
      return <Notice title={texts.agentGone}>{texts.agentComingBack}</Notice>;
    case "line":
      return <NoLine state={state} />;
    case "microphone":
      return <NoMicrophone state={state} />;
    case "silenced":
      return <Silenced />;
    default:
      return null;
  }
}

export function RequestFailed({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const request = openFailure(state);
  if (request === null) return null;
  const isStart = request.kind === "start";
  const comfort = state.transcript.lines.length > 0 ? texts.isSaved : null;
  return (
    <Notice
      tone="danger"
      title={requestFailure(request)}
      action={{
        label: texts.tryAgain,
        run: () => driver.dispatch({ type: "retryRequest" }),
      }}
      onDismiss={() => driver.dispatch({ type: "dismissFailure" })}
    >
      {isStart ? comfort : texts.nothingLost}
    </Notice>
  );
}

function NoAgent({ state }: { state: Conversation }) {
  const { driver } = useApp();
  if (state.session === null) return null;
  return (
    <Notice
      tone="danger"
      title={texts.agentFailed}
      action={{
        label: texts.tryAgain,
        isBusy: state.isRetryingAgent,
        run: () => driver.dispatch({ type: "retryAgent" }),
      }}
    >
      {state.problem ? problem(state.problem) : noAgent(state.session)}
    </Notice>
  );
}

function NoLine({ state }: { state: Conversation }) {
  const { driver } = useApp();
  return (
    <Notice
      tone="danger"
      title={texts.soundRefused}
      action={{ label: texts.soundReconnect, run: () => driver.dispatch({ type: "talkHere" }) }}
    >
      {state.problem ? problem(state.problem) : texts.isSaved}
    </Notice>
  );
}

function NoMicrophone({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const { what, way } = texts.microphone[state.microphone.problem ?? "failed"];
  return (
    <Notice
      title={what}
      action={{
        label: texts.tryAgain,
        run: () => driver.dispatch({ type: "retryMicrophone" }),
      }}
    >
      {way}
      {state.isSilenced && ` ${texts.soundClickAnywhere}`}
    </Notice>
  );
}

function Silenced() {
  const { sound } = useApp();
  return (
    <Notice
      title={texts.soundSilenced}
      action={{ label: texts.soundTurnOn, icon: "wave", run: () => sound.unlock() }}
    />
  );
}
