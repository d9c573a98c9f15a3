/** A conversation of the past, while its last words still come, over a network that fails. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { type Api, Failed } from "../src/api/client.ts";
import type { FailureKind } from "../src/api/failure.ts";
import { LAST_WORDS_MS, Reading } from "../src/history/reading.ts";
import { failure, session, utterance } from "./scene.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Status = "ACTIVE" | "ENDING" | "ENDED";

/** A server whose answers are given one by one; the last one is repeated. */
function server(...answers: (readonly [Status, string[]] | FailureKind)[]) {
  const query = vi.fn(async () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (typeof answer === "string") throw new Failed(failure(answer));
    const [status, keys] = answer ?? ["ENDED", []];
    const nodes = keys.map((key) => utterance(key));
    const pageInfo = { hasNextPage: false, endCursor: null };
    return { session: { ...session("ses_1", { status }), utterances: { pageInfo, nodes } } };
  });
  const told = { complete: vi.fn(async (_: string) => false), goesOn: vi.fn() };
  const reading = new Reading({ query } as unknown as Api, "ses_1", told);
  const keys = () => reading.read.value.past?.utterances.map((each) => each.key);
  return { reading, query, told, keys };
}

describe("a conversation that is ending", () => {
  it("is read anew until its last words are there", async () => {
    const { reading, query, keys } = server(["ENDING", ["a1"]], ["ENDED", ["a1", "a2"]]);

    await reading.start();
    expect(keys()).toEqual(["a1"]);
    await vi.advanceTimersByTimeAsync(LAST_WORDS_MS);
    expect(keys()).toEqual(["a1", "a2"]);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(query).toHaveBeenCalledTimes(2);
  });

  it.each(["network", "timeout", "server", "busy", "signed-out"] as const)(
    "stays readable when it can't be read anew, and is asked for again: %s",
    async (kind) => {
      const { reading, keys } = server(["ENDING", ["a1"]], kind, ["ENDED", ["a1", "a2"]]);
      await reading.start();

      await vi.advanceTimersByTimeAsync(LAST_WORDS_MS);
      expect(keys()).toEqual(["a1"]);
      expect(reading.read.value.failure).toBeNull();
      await vi.advanceTimersByTimeAsync(LAST_WORDS_MS);

      expect(keys()).toEqual(["a1", "a2"]);
    },
  );

  it.each(["not-found", "forbidden"] as const)(
    "is not shown any more once it is not there for this person: %s",
    async (kind) => {
      const { reading, query } = server(["ENDING", ["a1"]], kind);
      await reading.start();

      await vi.advanceTimersByTimeAsync(60_000);

      expect(reading.read.value).toMatchObject({ past: null, failure: { kind } });
      expect(query).toHaveBeenCalledTimes(2);
    },
  );

  it("is not asked for any more when nobody looks at it", async () => {
    const { reading, query } = server(["ENDING", ["a1"]]);
    await reading.start();

    reading.stop();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(query).toHaveBeenCalledTimes(1);
  });
});

describe("a conversation that has ended", () => {
  it("is read anew when a newer version of it is told, once for each", async () => {
    const { reading, query, keys } = server(["ENDED", ["a1"]], ["ENDED", ["a1", "late"]]);
    await reading.start();
    const { version } = reading.read.value.past?.session ?? { version: 0 };

    reading.heard(version);
    expect(query).toHaveBeenCalledTimes(1);
    reading.heard(version + 1);
    reading.heard(version + 1);
    await vi.advanceTimersByTimeAsync(0);

    expect(keys()).toEqual(["a1", "late"]);
    expect(query).toHaveBeenCalledTimes(2);
  });
});

describe("a conversation that can't be read", () => {
  it("says why, and is read by Retry", async () => {
    const { reading, query, keys } = server("network", ["ENDED", ["a1"]]);

    await reading.start();
    expect(reading.read.value).toMatchObject({ past: null, failure: { kind: "network" } });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(query).toHaveBeenCalledTimes(1);
    await reading.start();

    expect(keys()).toEqual(["a1"]);
  });
});

describe("a conversation", () => {
  it("that goes on is told, and not read anew", async () => {
    const { reading, query, told } = server(["ACTIVE", ["a1"]]);

    await reading.start();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(told.goesOn).toHaveBeenCalledOnce();
    expect(told.complete).not.toHaveBeenCalled();
    expect(query).toHaveBeenCalledTimes(1);
  });

  it("into which something was put is read with it", async () => {
    const { reading, told, keys } = server(["ENDED", ["a1"]], ["ENDED", ["a1", "t1"]]);
    told.complete.mockResolvedValueOnce(true);

    await reading.start();

    expect(told.complete).toHaveBeenCalledWith("ses_1");
    expect(keys()).toEqual(["a1", "t1"]);
  });
});
