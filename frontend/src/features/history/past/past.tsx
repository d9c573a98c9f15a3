/** A past conversation's transcript, or why it can't be shown. */
import { useEffect, useMemo, useRef } from "react";
import { useApp, useHistory } from "../../../app/context.ts";
import { Link, useLocation } from "../../../app/router.tsx";
import type { Failure } from "../../../shared/api/failure.ts";
import { recall } from "../../../shared/store/storage.ts";
import { useStore } from "../../../shared/store/store.ts";
import { Transcript } from "../../../shared/transcript/transcript.tsx";
import { Head } from "../../../shared/ui/head.tsx";
import { Skeleton } from "../../../shared/ui/skeleton.tsx";
import * as texts from "../../../texts.ts";
import { problem } from "../../conversation/messages.ts";
import { isOver, isRunning, newest } from "../../conversation/state.ts";
import { NewChat } from "../../conversation/view/new-chat.tsx";
import { Edge } from "../list/edge.tsx";
import { useSteady } from "../list/use-steady.ts";
import { askedIn } from "./address.ts";
import { PastDetail } from "./past-detail.tsx";
import { type Past as PastWords, Reading } from "./reading.ts";
import { SessionHead } from "./session-head.tsx";
import { useFind } from "./use-find.tsx";

const GONE: Failure = { kind: "not-found", message: "" };

export default function Past({ id }: { id: string }) {
  const app = useApp();
  const { api, driver, history } = app;
  useHistory();
  const { line } = askedIn(useLocation().search);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the first `line` matters
  const reading = useMemo(
    () =>
      new Reading(api, id, {
        at: line,
        complete: (over) => app.handIn(over),
        // This page follows it, and also talks if it did before a reload.
        goesOn: (session) =>
          isRunning(driver.state) || app.takeUp(session, recall("talking") === id),
      }),
    [app, api, driver, id],
  );
  const { past, failure } = useStore(reading.read);
  useEffect(() => {
    void reading.start();
    return () => reading.stop();
  }, [reading]);
  useEffect(() => {
    if (line !== null) void reading.reach(line);
  }, [reading, line]);
  const follows = useRef(history.follows);
  useEffect(() => {
    if (follows.current !== history.follows) void reading.check();
    follows.current = history.follows;
  }, [reading, history.follows]);
  const again = () => void reading.start();

  const known = history.known(id);
  const session = past ? newest(past.session, known) : known;
  useEffect(() => {
    if (past && known) reading.heard(known.version);
  }, [reading, past, known]);
  const lines = past?.utterances ?? [];
  const { bar, found } = useFind(id, session?.version, lines);
  useSteady(reading, lines[0]?.id);
  if (history.isGone(id)) return <Refused failure={GONE} onRetry={again} />;
  if (failure) return <Refused failure={failure} onRetry={again} />;
  return (
    <>
      {session ? (
        <SessionHead session={session} detail={<PastDetail session={session} />}>
          <NewChat />
        </SessionHead>
      ) : (
        <Head title={texts.conversationTitle}>
          <NewChat />
        </Head>
      )}
      {bar}
      <Transcript
        lines={lines}
        pending={[]}
        isLive={false}
        isSpoken={() => false}
        isCaughtUp={false}
        onAgain={() => {}}
        found={found}
        isAtEnd={line === null}
        before={past === null ? <Skeleton /> : <Edge reading={reading} way="earlier" />}
        after={
          past &&
          (past.later === null ? <Ending past={past} /> : <Edge reading={reading} way="later" />)
        }
      />
    </>
  );
}

function Ending({ past }: { past: PastWords }) {
  const app = useApp();
  const { session } = past;
  if (isOver(session)) {
    const isEmpty = past.utterances.length === 0;
    return (
      <p className="ending muted">
        {isEmpty ? texts.conversationNothingSaid : texts.conversationEnd}
      </p>
    );
  }
  return (
    <p className="ending">
      <button type="button" className="button" onClick={() => app.takeUp(session, true)}>
        {texts.conversationJoinAgain}
      </button>
    </p>
  );
}

const TITLES: Partial<Record<Failure["kind"], string>> = {
  forbidden: texts.pastForbidden,
  "not-found": texts.pastNotFound,
  invalid: texts.pastNotFound,
  "signed-out": texts.pastSignedOut,
};

function Refused({ failure, onRetry }: { failure: Failure; onRetry(): void }) {
  const title = TITLES[failure.kind];
  const sentence = failure.kind === "invalid" ? texts.pastBadLink : problem(failure);
  return (
    <>
      <Head title={title ?? texts.pastMissingTitle}>
        <NewChat />
      </Head>
      <div className="centred">
        <h2>{title ?? texts.pastMissingWhat}</h2>
        <p className="muted">{sentence}</p>
        {title === undefined ? (
          <button type="button" className="button primary" onClick={onRetry}>
            {texts.tryAgain}
          </button>
        ) : (
          <Link className="button primary" to="/">
            {texts.toStartPage}
          </Link>
        )}
      </div>
    </>
  );
}
