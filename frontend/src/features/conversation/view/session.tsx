/** A conversation's page: the live conversation, or a past one. */
import { useApp, useConversation, useHistory } from "../../../app/context.ts";
import { later } from "../../../shared/store/lazy.ts";
import { Transcript } from "../../../shared/transcript/transcript.tsx";
import { Head } from "../../../shared/ui/head.tsx";
import { PieceMissing } from "../../../shared/ui/missing.tsx";
import { Skeleton } from "../../../shared/ui/skeleton.tsx";
import { clock } from "../../../shared/ui/time.ts";
import * as texts from "../../../texts.ts";
import { PastDetail } from "../../history/past/past-detail.tsx";
import { SessionHead } from "../../history/past/session-head.tsx";
import { useFind } from "../../history/past/use-find.tsx";
import { nothingYet } from "../messages.ts";
import { type Conversation, isRunning, isSpoken, newest } from "../state.ts";
import { Dock } from "./dock.tsx";
import { NewChat } from "./new-chat.tsx";
import { Notices } from "./notices.tsx";

const Past = later(
  () => import("../../history/past/past.tsx"),
  (is) => (
    <>
      <Head title={texts.conversationTitle}>
        <NewChat />
      </Head>
      {is === "away" ? (
        <div className="column">
          <Skeleton />
        </div>
      ) : (
        <PieceMissing />
      )}
    </>
  ),
);

export function SessionPage({ id }: { id: string }) {
  const { history } = useApp();
  const state = useConversation();
  useHistory();
  // An ended conversation has no stream; only the history knows whether it was deleted.
  const isHere = state.session?.id === id && !state.isDeleted && !history.isGone(id);
  return isHere ? <Live key={id} state={state} /> : <Past key={id} id={id} />;
}

function Live({ state }: { state: Conversation }) {
  const { driver, history } = useApp();
  const { session: held, transcript } = state;
  const { bar, found } = useFind(held?.id ?? "", held?.version, transcript.lines);
  if (held === null) return null;
  const session = newest(held, history.known(held.id));
  const isLive = isRunning(state);
  return (
    <>
      <SessionHead
        session={session}
        detail={isLive ? <Since state={state} /> : <PastDetail session={session} />}
      />
      {bar}
      <Transcript
        lines={transcript.lines}
        pending={state.pending}
        isLive={isLive}
        isSpoken={(line) => isSpoken(state, line)}
        isCaughtUp={transcript.isCaughtUp}
        onAgain={(key) => driver.dispatch({ type: "sayAgain", key })}
        found={found}
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
  return <span>{texts.conversationStartedAt(clock(session.startedAt ?? session.createdAt))}</span>;
}

/** The placeholder of an empty transcript. */
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
