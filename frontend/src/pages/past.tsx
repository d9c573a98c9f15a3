/** A conversation of the past, with every word in order; or why it can't be shown. */
import { useCallback, useEffect, useState } from "react";
import { Link } from "react-router";

import { type Api, failureOf } from "../api/client.ts";
import type { Failure } from "../api/failure.ts";
import { PastDocument } from "../api/generated/graphql.ts";
import { useApp, useHistory } from "../app/context.ts";
import { recall } from "../app/storage.ts";
import { isOver, isRunning, newest, type Session } from "../conversation/state.ts";
import type { Utterance } from "../conversation/transcript.ts";
import { problem } from "../conversation/words.ts";
import { Head, SessionId } from "../ui/head.tsx";
import { NewChat } from "../ui/new-chat.tsx";
import { count, duration, moment } from "../ui/time.ts";
import { Transcript } from "../ui/transcript.tsx";
import { Skeleton } from "./session.tsx";

const LAST_WORDS_MS = 1500;
const GONE: Failure = { kind: "not-found", message: "" };

interface Record {
  session: Session;
  utterances: readonly Utterance[];
}

async function read(api: Api, id: string): Promise<Record> {
  const utterances: Utterance[] = [];
  let after: string | null = null;
  for (;;) {
    const { session }: Awaited<ReturnType<typeof page>> = await page(api, id, after);
    if (!session) throw new TypeError("an answer without its session");
    utterances.push(...session.utterances.nodes);
    const { hasNextPage, endCursor } = session.utterances.pageInfo;
    if (!hasNextPage) return { session, utterances };
    after = endCursor ?? null;
  }
}

const page = (api: Api, id: string, after: string | null) => api.query(PastDocument, { id, after });

export function Past({ id }: { id: string }) {
  const app = useApp();
  const { api, driver, history } = app;
  useHistory();
  const [record, setRecord] = useState<Record | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);

  const load = useCallback(async () => {
    setFailure(null);
    try {
      let found = await read(api, id);
      if (isOver(found.session) && (await app.handIn(id))) found = await read(api, id);
      setRecord(found);
      // It goes on: this page follows it, and talks in it if it did so before a reload.
      if (!isOver(found.session) && !isRunning(driver.state)) {
        app.takeUp(found.session, recall("talking") === id);
      }
    } catch (error) {
      setFailure(failureOf(error));
    }
  }, [app, api, driver, id]);
  useEffect(() => void load(), [load]);
  // Its agent still hands in the last words.
  useEffect(() => {
    if (record?.session.status !== "ENDING") return;
    const timer = setTimeout(() => void load(), LAST_WORDS_MS);
    return () => clearTimeout(timer);
  }, [record, load]);

  const known = history.known(id);
  const session = record ? newest(record.session, known) : known;
  if (history.isGone(id)) return <Refused failure={GONE} onRetry={() => void load()} />;
  if (failure) return <Refused failure={failure} onRetry={() => void load()} />;
  return (
    <>
      <Head
        title={session?.title ?? "Conversation"}
        detail={session && <PastDetail session={session} />}
      >
        <NewChat />
      </Head>
      <Transcript
        lines={record?.utterances ?? []}
        pending={[]}
        isLive={false}
        isSpoken={() => false}
        isCaughtUp={false}
        onAgain={() => {}}
        before={record === null && <Skeleton />}
        after={record && <Ending record={record} />}
      />
    </>
  );
}

function Ending({ record }: { record: Record }) {
  const app = useApp();
  const { session } = record;
  if (isOver(session)) {
    const isEmpty = record.utterances.length === 0;
    return (
      <p className="ending muted">{isEmpty ? "Nothing was said." : "End of the conversation"}</p>
    );
  }
  return (
    <p className="ending">
      <button type="button" className="button" onClick={() => app.takeUp(session, true)}>
        This conversation still goes on: talk here
      </button>
    </p>
  );
}

export function PastDetail({ session }: { session: Session }) {
  const parts = [
    moment(session.createdAt),
    session.durationMs == null ? null : duration(session.durationMs),
    count(session.utteranceCount, "line", "lines"),
  ];
  return (
    <>
      <span>{parts.filter(Boolean).join(" · ")}</span>
      <SessionId session={session} />
    </>
  );
}

const TITLES: Partial<globalThis.Record<Failure["kind"], string>> = {
  forbidden: "Not yours",
  "not-found": "Not found",
  invalid: "Not found",
  "signed-out": "Signed out",
};

function Refused({ failure, onRetry }: { failure: Failure; onRetry(): void }) {
  const title = TITLES[failure.kind];
  const sentence =
    failure.kind === "invalid" ? "That is no conversation's address." : problem(failure);
  return (
    <>
      <Head title={title ?? "Not loaded"}>
        <NewChat />
      </Head>
      <div className="centred">
        <h2>{title ?? "This could not be loaded"}</h2>
        <p className="muted">{sentence}</p>
        {title === undefined ? (
          <button type="button" className="button primary" onClick={onRetry}>
            Retry
          </button>
        ) : (
          <Link className="button primary" to="/">
            Talk instead
          </Link>
        )}
      </div>
    </>
  );
}
