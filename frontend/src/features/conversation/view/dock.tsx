/** The conversation's controls: status, microphone, text field, New chat and End. */
import { type FormEvent, type KeyboardEvent, useEffect, useId, useRef, useState } from "react";

import { useApp, useConversation } from "../../../app/context.ts";
import { newKey } from "../../../app/keys.ts";
import { later } from "../../../shared/store/lazy.ts";
import { useStore } from "../../../shared/store/store.ts";
import { hasKeyboard, useFocusHandedOn } from "../../../shared/ui/focus.ts";
import { Icon, type IconName } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";
import { invitation, status, type Tone } from "../messages.ts";
import { type Conversation, canType, isAsked, isHeard, isRunning } from "../state.ts";
import { isTooLong } from "../transcript.ts";
import { OwnVoice, Voice } from "./levels.tsx";
import { End, NewChat } from "./new-chat.tsx";

const AgentVolume = later(
  () => import("./agent-volume.tsx"),
  // A placeholder, so that nothing moves when it loads.
  () => <span className="icon-button" />,
);
const MicrophoneMenu = later(() => import("./microphone-menu.tsx"));

export function Dock() {
  const state = useConversation();
  return (
    <div className="dock">
      <div className="dock-row">
        <StatusLine state={state} />
        <div className="dock-ways">
          {isRunning(state) && <End />}
          <NewChat isLanding={!isRunning(state)} />
        </div>
      </div>
      {isRunning(state) ? (
        state.isTalking ? (
          <Talking state={state} />
        ) : (
          <Following state={state} />
        )
      ) : (
        // In place of the field, so that nothing moves.
        <p className="dock-row dock-over muted">{texts.inviteOver}</p>
      )}
    </div>
  );
}

const ICONS: Partial<Record<Tone, IconName>> = {
  asking: "microphone",
  off: "muted",
  problem: "warning",
};

function StatusLine({ state }: { state: Conversation }) {
  const { tone, text } = status(state);
  return (
    <p className="status" data-tone={tone}>
      <Sign tone={tone} />
      <span className="status-text" role="status">
        {text}
      </span>
      {tone === "listening" && <Icon name="ear" size={18} />}
      {tone === "thinking" && <Icon name="thought" size={18} />}
    </p>
  );
}

/** An icon, or a level meter: the person's while the agent listens, else the agent's. */
function Sign({ tone }: { tone: Tone }) {
  const icon = ICONS[tone];
  if (tone === "busy") return <span className="spinner" aria-hidden="true" />;
  if (icon) return <Icon name={icon} />;
  if (tone === "idle") return null;
  return <Voice tone={tone} side={tone === "listening" ? "person" : "agent"} />;
}

/** Shown while this window only follows the conversation. */
function Following({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const ref = useRef<HTMLDivElement>(null);
  useFocusHandedOn(ref);
  return (
    <div className="dock-row dock-follow" ref={ref}>
      <p className="muted">
        {state.media.problem === "elsewhere"
          ? texts.conversationElsewhere
          : texts.conversationStillActive}
      </p>
      <button
        type="button"
        className="button primary"
        data-landing=""
        onClick={() => driver.dispatch({ type: "talkHere" })}
      >
        <Icon name="microphone" size={18} />
        {texts.conversationTalkHere}
      </button>
    </div>
  );
}

function Talking({ state }: { state: Conversation }) {
  const { driver, drafts } = useApp();
  const id = state.session?.id ?? "";
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useFocusHandedOn(form);
  // Put the cursor at the end of the draft.
  useEffect(() => {
    const end = field.current?.value.length ?? 0;
    field.current?.setSelectionRange(end, end);
  }, []);
  const canSay = canType(state);
  const putBacks = useStore(drafts.putBacks);
  useEffect(() => {
    if (putBacks === 0 || !field.current) return;
    field.current.value = drafts.of(id);
    setLong(isTooLong(field.current.value));
    field.current.focus();
  }, [putBacks, drafts, id]);
  const [isLong, setLong] = useState(() => isTooLong(drafts.of(id)));
  const complaint = useId();

  const send = (event?: FormEvent) => {
    event?.preventDefault();
    const text = field.current?.value ?? "";
    if (!field.current || text.trim() === "" || !canType(driver.state)) return;
    if (isTooLong(text)) return field.current.focus();
    driver.dispatch({ type: "say", key: newKey(), text, at: new Date().toISOString() });
    field.current.value = "";
    drafts.keep(id, "");
    field.current.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  return (
    <form className="dock-row dock-talk" ref={form} onSubmit={send}>
      {isLong && (
        <p className="complaint" id={complaint} role="alert">
          {texts.dockTooLong}
        </p>
      )}
      <MicrophoneButton state={state} />
      {state.microphone.is === "on" && <MicrophoneMenu />}
      <AgentVolume />
      <textarea
        ref={field}
        className="field"
        dir="auto"
        rows={1}
        aria-label={texts.dockType}
        placeholder={invitation(state)}
        aria-invalid={isLong}
        aria-describedby={isLong ? complaint : undefined}
        // Uncontrolled: the browser draws typed text at once, whatever else is running.
        defaultValue={drafts.of(id)}
        onChange={({ target: { value } }) => {
          drafts.keep(id, value);
          setLong(isTooLong(value));
        }}
        readOnly={!canSay}
        aria-disabled={!canSay}
        data-landing={hasKeyboard() ? "" : undefined}
        onKeyDown={pressed}
      />
      <button
        type="submit"
        className="icon-button send"
        aria-label={texts.dockSend}
        disabled={!canSay}
      >
        <Icon name="send" />
      </button>
    </form>
  );
}

export function MicrophoneButton({ state }: { state: Conversation }) {
  const { driver } = useApp();
  const { is, isMuted } = state.microphone;
  if (is === "problem" || is === "off") {
    return (
      <button
        type="button"
        className="icon-button microphone"
        data-state="problem"
        aria-label={texts.dockRetryMicrophone}
        onClick={() => driver.dispatch({ type: "retryMicrophone" })}
      >
        <Icon name="muted" />
      </button>
    );
  }
  return (
    <button
      type="button"
      className="icon-button microphone"
      data-state={isAsked(state.microphone) ? "asking" : isMuted ? "muted" : "on"}
      aria-pressed={isMuted}
      aria-label={texts.dockMute}
      disabled={isAsked(state.microphone)}
      onClick={() => driver.dispatch({ type: "mute", isMuted: !isMuted })}
    >
      {isHeard(state) && <OwnVoice />}
      <Icon name={isMuted ? "muted" : "microphone"} />
    </button>
  );
}
