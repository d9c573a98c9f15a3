/** One conversation: the one that runs on this page, or one of the past. */
import { useApp, useConversation, useHistory } from "../app/context.ts";
import { type Conversation, isRunning, isSpoken, newest } from "../conversation/state.ts";
import { nothingYet } from "../conversation/words.ts";
import * as texts from "../texts.ts";
import { Dock } from "../ui/dock.tsx";
import { Head, SessionId } from "../ui/head.tsx";
import { Notices } from "../ui/notices.tsx";
import { clock } from "../ui/time.ts";
import { Transcript } from "../ui/transcript.tsx";
import { Past, PastDetail } from "./past.tsx";

export function SessionPage({ id }: { id: string }) {
  const { history } = useApp();
  const state = useConversation();
  useHistory();
  // One that is over is not followed any more: what becomes of it is known from the list.
  const isHere = state.session?.id === id && !state.isDeleted && !history.isGone(id);
  return isHere ? <Live key={id} state={state} /> : <Past key={id} id={id} />;
}

function Live({ state }: { state: Conversation }) {
  const { driver, history } = useApp();
  const { session: held, transcript } = state;
  if (held === null) return null;
  const session = newest(held, history.known(held.id));
  const isLive = isRunning(state);
  return (
    <>
      <Head
        title={session.title}
        detail={isLive ? <Since state={state} /> : <PastDetail session={session} />}
      />
      <Transcript
        lines={transcript.lines}
        pending={state.pending}
        isLive={isLive}
        isSpoken={(line) => isSpoken(state, line)}
        isCaughtUp={transcript.isCaughtUp}
        onAgain={(key) => driver.dispatch({ type: "sayAgain", key })}
        before={<Nothing state={state} />}
      />
      <Notices state={state} />
      <Dock />
    </>
  );
}

function Since({ state }: { state: Conversation }) {
  const { session } = state;
  if (session === null) return null;
  return (
    <>
      <span>{texts.conversationStartedAt(clock(session.startedAt ?? session.createdAt))}</span>
      <SessionId session={session} />
    </>
  );
}

/** What stands where the words will be. */
function Nothing({ state }: { state: Conversation }) {
  const { lines, isCaughtUp } = state.transcript;
  if (lines.length > 0 || state.pending.length > 0) return null;
  if (!isCaughtUp) return <Skeleton />;
  const { what, way } = nothingYet(state);
  return (
    <div className="nothing">
      <h2>{what}</h2>
      <p className="muted">{way}</p>
    </div>
  );
}

export function Skeleton() {
  return (
    <div className="skeleton" aria-hidden="true">
      <i />
      <i />
      <i />
    </div>
  );
}
