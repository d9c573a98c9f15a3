/** A conversation of the past, with every word in order; or why it can't be shown. */
import { useEffect, useMemo } from "react";

import type { Failure } from "../api/failure.ts";
import { useApp, useHistory } from "../app/context.ts";
import { Link } from "../app/router.tsx";
import { recall } from "../app/storage.ts";
import { useStore } from "../app/store.ts";
import { isOver, isRunning, newest, type Session } from "../conversation/state.ts";
import { problem } from "../conversation/words.ts";
import { type Past as PastWords, Reading } from "../history/reading.ts";
import * as texts from "../texts.ts";
import { Head, SessionId } from "../ui/head.tsx";
import { NewChat } from "../ui/new-chat.tsx";
import { duration, moment } from "../ui/time.ts";
import { Transcript } from "../ui/transcript.tsx";
import { Skeleton } from "./session.tsx";

const GONE: Failure = { kind: "not-found", message: "" };

export function Past({ id }: { id: string }) {
  const app = useApp();
  const { api, driver, history } = app;
  useHistory();
  const reading = useMemo(
    () =>
      new Reading(api, id, {
        complete: (over) => app.handIn(over),
        // This page follows it, and talks in it if it did so before a reload.
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
  const again = () => void reading.start();

  const known = history.known(id);
  const session = past ? newest(past.session, known) : known;
  useEffect(() => {
    if (past && known) reading.heard(known.version);
  }, [reading, past, known]);
  if (history.isGone(id)) return <Refused failure={GONE} onRetry={again} />;
  if (failure) return <Refused failure={failure} onRetry={again} />;
  return (
    <>
      <Head
        title={session?.title ?? texts.conversationTitle}
        detail={session && <PastDetail session={session} />}
      >
        <NewChat />
      </Head>
      <Transcript
        lines={past?.utterances ?? []}
        pending={[]}
        isLive={false}
        isSpoken={() => false}
        isCaughtUp={false}
        onAgain={() => {}}
        before={past === null && <Skeleton />}
        after={past && <Ending past={past} />}
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

export function PastDetail({ session }: { session: Session }) {
  const parts = [
    moment(session.createdAt),
    session.durationMs == null ? null : duration(session.durationMs),
    texts.lines(session.utteranceCount),
  ];
  return (
    <>
      <span>{parts.filter(Boolean).join(" · ")}</span>
      <SessionId session={session} />
    </>
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
