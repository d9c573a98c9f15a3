/** How the driver executes the machine's effects when something fails. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  Driver,
  type SoundSystem,
  type Surroundings,
} from "../../src/features/conversation/driver.ts";
import { type Api, Failed, type Sink } from "../../src/shared/api/client.ts";
import type { FailureKind } from "../../src/shared/api/failure.ts";
import {
  SaveSessionDocument,
  StartNewChatDocument,
  TranscriptsDocument,
  type TranscriptsSubscription,
} from "../../src/shared/api/generated/graphql.ts";
import { connection, failure, saved, session, utterance } from "../scene.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const nothing = () => {};
const SOUND: SoundSystem = {
  hearing: "no",
  openLine: nothing,
  closeLine: nothing,
  openMicrophone: nothing,
  closeMicrophone: nothing,
  mute: nothing,
};

const NOBODY: Surroundings = {
  show: nothing,
  hide: nothing,
  remember: nothing,
  tellSaved: nothing,
  handedOver: nothing,
  tellSignedOut: nothing,
  log: nothing,
};

/** Starts a second conversation; a word of the first arrives before the server's answer. */
async function lateWord(kind: FailureKind | null) {
  const saves: unknown[] = [];
  const mutate = vi.fn(async (document: unknown, { input }: { input: unknown }) => {
    if (document === StartNewChatDocument) {
      const begun = { saved: null, session: session("ses_1"), connection: connection("token-1") };
      if (mutate.mock.calls.length === 1) return { startNewChat: begun };
      driver.dispatch({
        epoch: driver.state.epoch,
        type: "words",
        event: { cursor: "c", isCaughtUp: true, utterances: [utterance("a1")] },
        end: null,
      });
      return { startNewChat: { ...begun, saved: saved("ses_1"), session: session("ses_2") } };
    }
    expect(document).toBe(SaveSessionDocument);
    saves.push(input);
    if (kind) throw new Failed(failure(kind));
    return { saveSession: saved("ses_1") };
  });
  const log = vi.fn();
  const handedOver = vi.fn();
  const around: Surroundings = { ...NOBODY, handedOver, log };
  const api = { mutate, stream: () => nothing } as unknown as Api;
  const driver = new Driver(api, { ...SOUND }, around);
  driver.dispatch({ type: "start", key: "key-1" });
  await vi.advanceTimersByTimeAsync(0);
  driver.dispatch({ type: "newChat", key: "key-2" });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(driver.state.session?.id).toBe("ses_2");
  return { saves, log, handedOver };
}

describe("what was said between the click and its answer", () => {
  it("is handed in afterwards", async () => {
    const { saves, log, handedOver } = await lateWord(null);

    expect(saves).toMatchObject([{ sessionId: "ses_1", messages: [{ key: "a1" }] }]);
    expect(log).not.toHaveBeenCalled();
    expect(handedOver).toHaveBeenCalledExactlyOnceWith("ses_1");
  });

  it.each(["network", "timeout"] as const)(
    "is tried four times, and reported when all attempts failed: %s",
    async (kind) => {
      const { saves, log, handedOver } = await lateWord(kind);

      expect(saves).toHaveLength(4);
      // Without this call, the copy of the unsent lines is kept for the next visit.
      expect(handedOver).not.toHaveBeenCalled();
      expect(log).toHaveBeenCalledExactlyOnceWith("late words", failure(kind));
    },
  );

  it("is not tried for again once it is refused", async () => {
    const { saves, log } = await lateWord("invalid");

    expect(saves).toHaveLength(1);
    expect(log).toHaveBeenCalledExactlyOnceWith("late words", failure("invalid"));
  });
});

describe("a typed line that was still waiting when its conversation ended", () => {
  /** Ends a conversation with a waiting line; saving that line fails with `kind`. */
  async function handedIn(kind: FailureKind | null) {
    const streams: unknown[] = [];
    const mutate = vi.fn(async (document: unknown) => {
      if (document === StartNewChatDocument)
        return { startNewChat: { saved: null, session: session("ses_1"), connection: null } };
      if (kind) throw new Failed(failure(kind));
      return { saveSession: saved("ses_1") };
    });
    const stream = (document: unknown, variables: unknown) => {
      if (document === TranscriptsDocument) streams.push(variables);
      return nothing;
    };
    const driver = new Driver({ mutate, stream } as unknown as Api, { ...SOUND }, NOBODY);
    driver.dispatch({ type: "start", key: "key-1" });
    await vi.advanceTimersByTimeAsync(0);
    const { epoch } = driver.state;
    driver.dispatch({ type: "say", key: "t1", text: "hello", at: "2026-11-22T10:00:05Z" });
    const over = session("ses_1", { status: "ENDED", endReason: "START_FAILED", version: 9 });
    driver.dispatch({ epoch, type: "update", session: over, isDeleted: false, end: null });
    const end = { reason: "SESSION_ENDED", mayResume: false };
    const event = { cursor: "c1", isCaughtUp: true, utterances: [] };
    driver.dispatch({ epoch, type: "words", event, end });
    await vi.advanceTimersByTimeAsync(60_000);
    return { driver, streams };
  }

  it("is looked for among the words once it is in", async () => {
    const { streams } = await handedIn(null);

    expect(streams).toEqual([
      { id: "ses_1", after: null },
      { id: "ses_1", after: "c1" },
    ]);
  });

  it("says that it is not sent when that fails", async () => {
    const { driver, streams } = await handedIn("server");

    expect(streams).toHaveLength(1);
    expect(driver.state.pending[0]).toMatchObject({ isSending: false, problem: "Not sent." });
  });
});

describe("a stream of words that breaks", () => {
  /** Starts a conversation and records every request for its transcript stream. */
  async function reading() {
    const asked: unknown[] = [];
    const sinks: Sink<TranscriptsSubscription>[] = [];
    const stream = (document: unknown, variables: unknown, sink: Sink<TranscriptsSubscription>) => {
      if (document === TranscriptsDocument) {
        asked.push(variables);
        sinks.push(sink);
      }
      return nothing;
    };
    const begun = { saved: null, session: session("ses_1"), connection: connection("token-1") };
    const api = { mutate: async () => ({ startNewChat: begun }), stream } as unknown as Api;
    const driver = new Driver(api, { ...SOUND }, NOBODY);
    driver.dispatch({ type: "start", key: "key-1" });
    await vi.advanceTimersByTimeAsync(0);
    return { asked, newest: () => sinks.at(-1) as Sink<TranscriptsSubscription> };
  }
  const words = (cursor: string): TranscriptsSubscription => ({
    transcripts: { cursor, isCaughtUp: true, utterances: [], end: null },
  });

  it("is asked for again from the newest cursor", async () => {
    const { asked, newest } = await reading();
    for (const cursor of ["c1", "c2"]) newest().next(words(cursor));

    newest().done(failure("network"));
    await vi.advanceTimersByTimeAsync(10_000);

    expect(asked).toEqual([
      { id: "ses_1", after: null },
      { id: "ses_1", after: "c2" },
    ]);
  });

  it.each([
    [0, 200],
    [0.5, 300],
    [1, 400],
  ])("is asked for after a pause that is drawn: %d gives %d ms", async (drawn, pause) => {
    vi.spyOn(Math, "random").mockReturnValue(drawn);
    const { asked, newest } = await reading();
    newest().next(words("c1"));

    newest().done(failure("network"));
    await vi.advanceTimersByTimeAsync(pause - 1);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(2);
  });
});
