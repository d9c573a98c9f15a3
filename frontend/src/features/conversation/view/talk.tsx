/** The start page: one button. */
import { useApp, useConversation, useViewer } from "../../../app/context.ts";
import { newKey } from "../../../app/keys.ts";
import { Navigate } from "../../../app/router.tsx";
import { Head } from "../../../shared/ui/head.tsx";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";
import { isBusy, isRunning } from "../state.ts";
import { RequestFailed } from "./notices.tsx";

/** Whether the built-in agent answers without a language model; the server sets the attribute. */
const isDemo = () => document.documentElement.dataset["answers"] === "demo";

export function Talk() {
  const { driver, sound } = useApp();
  const state = useConversation();
  const viewer = useViewer();
  if (state.session !== null && isRunning(state)) return <Navigate to={`/c/${state.session.id}`} />;

  const isStarting = isBusy(state);
  const start = () => {
    sound.unlock();
    driver.dispatch({ type: "start", key: newKey() });
  };
  return (
    <>
      <Head title={texts.startTitle} />
      <div className="centred start">
        <button
          type="button"
          className="start-button"
          aria-disabled={isStarting}
          aria-busy={isStarting}
          data-landing=""
          onClick={start}
        >
          <span className="start-disc">
            {isStarting ? (
              <span className="spinner large" aria-hidden="true" />
            ) : (
              <Icon name="microphone" size={40} />
            )}
          </span>
          <span className="start-label">{isStarting ? texts.starting : texts.startTalk}</span>
        </button>
        <p className="muted">
          {texts.wordsAppear}
          <br />
          {texts.startTypingWorks}
        </p>
        {viewer?.isGuest && <p className="muted small">{texts.startGuests}</p>}
        {isDemo() && (
          <p className="muted small">
            {texts.startDemo}
            <br />
            <code>{texts.startModel}</code>
          </p>
        )}
        <RequestFailed state={state} />
      </div>
    </>
  );
}
