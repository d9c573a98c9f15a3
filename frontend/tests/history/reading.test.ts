/** Reading a past conversation while its last words arrive, over an unreliable network. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LAST_WORDS_MS, Reading } from "../../src/features/history/past/reading.ts";
import { type Api, Failed } from "../../src/shared/api/client.ts";
import type { FailureKind } from "../../src/shared/api/failure.ts";
import { failure, session, utterance } from "../scene.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Status = "ACTIVE" | "ENDING" | "ENDED";

/** A server that gives these answers in order, then repeats the last one. */
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

describe("a conversation that may be gone", () => {
  it("is not shown any more if it is", async () => {
    const { reading } = server(["ENDED", ["a1"]], "not-found");
    await reading.start();

    await reading.check();

    expect(reading.read.value).toMatchObject({ past: null, failure: { kind: "not-found" } });
  });

  it("stays if that can't be told", async () => {
    const { reading, keys } = server(["ENDED", ["a1"]], "network");
    await reading.start();

    await reading.check();

    expect(keys()).toEqual(["a1"]);
    expect(reading.read.value.failure).toBeNull();
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

/** A server with a conversation of `count` lines, starting with `u1`. */
function long(count: number, changes: Partial<ReturnType<typeof session>> = {}) {
  const all = Array.from({ length: count }, (_, index) => utterance(`u${index + 1}`));
  const state = { status: "ENDED" as Status, fails: null as FailureKind | null };
  const asked: string[] = [];
  const page = (from: number, to: number) => ({
    pageInfo: {
      hasPreviousPage: from > 0,
      hasNextPage: to < all.length,
      startCursor: `c${from + 1}`,
      endCursor: `c${to}`,
    },
    nodes: all.slice(Math.max(0, from), to),
  });
  /** Pages like the server: a cursor marks a line and excludes it. */
  const utterances = (given: Given) => {
    const after = given.after ? Number(given.after.slice(1)) : 0;
    const before = given.before ? Number(given.before.slice(1)) - 1 : all.length;
    return given.last !== undefined
      ? page(Math.max(after, before - given.last), before)
      : page(after, Math.min(before, after + (given.first ?? 500)));
  };
  const query = async (document: unknown, given: Given) => {
    const [, name = ""] = /query (\w+)/.exec(String(document)) ?? [];
    asked.push(`${name} ${given.before ?? given.after ?? given.cursor ?? ""}`.trim());
    if (state.fails !== null) throw new Failed(failure(state.fails));
    const held = session("ses_1", { status: state.status, ...changes });
    if (name === "Line") {
      const found = all.find(({ id }) => id === given.id);
      if (!found) return { node: null };
      return { node: { ...found, cursor: `c${found.key.slice(1)}`, session: { id: "ses_1" } } };
    }
    if (name === "Around") {
      const earlier = utterances({ last: 250, before: given.cursor });
      return {
        session: { ...held, earlier, later: utterances({ first: 250, after: given.cursor }) },
      };
    }
    return { session: { ...held, utterances: utterances(given) } };
  };
  const reads = (at: string | null = null) => {
    const options = { at, complete: async () => false, goesOn: () => {} };
    const reading = new Reading({ query } as unknown as Api, "ses_1", options);
    const span = () => {
      const keys = reading.read.value.past?.utterances.map(({ key }) => key) ?? [];
      const first = Number(keys[0]?.slice(1));
      // Each line appears once, in order.
      expect(keys).toEqual(keys.map((_, index) => `u${first + index}`));
      return [keys[0], keys.at(-1)];
    };
    return { reading, span };
  };
  return { all, asked, state, reads };
}

interface Given {
  id?: string;
  cursor?: string | undefined;
  first?: number;
  last?: number;
  after?: string | undefined;
  before?: string | undefined;
}

describe("a long conversation", () => {
  it("is opened at its end with one question, and read backward from there", async () => {
    const { asked, reads } = long(1200);
    const { reading, span } = reads();

    await reading.start();
    expect(span()).toEqual(["u701", "u1200"]);
    await reading.more("earlier");
    expect(span()).toEqual(["u201", "u1200"]);
    await reading.more("earlier");
    await reading.more("earlier");
    await reading.more("later");

    expect(span()).toEqual(["u1", "u1200"]);
    expect(asked).toEqual(["Past", "Past c701", "Past c201"]);
  });

  it("is opened around a line, wherever that is, with as few questions", async () => {
    const { asked, reads } = long(10_000);
    const { reading, span } = reads("utt_u5000");

    await reading.start();

    expect(span()).toEqual(["u4750", "u5250"]);
    expect(asked).toEqual(["Line", "Around c5000"]);
    await reading.more("later");
    await reading.more("earlier");
    expect(span()).toEqual(["u4250", "u5750"]);
  });

  it.each([
    ["utt_u1", ["u1", "u251"], null, "c251"],
    ["utt_u600", ["u350", "u600"], "c350", null],
  ])("is opened at its edge, too: %s", async (at, ends, earlier, later) => {
    const { reading, span } = long(600).reads(at);

    await reading.start();

    expect(span()).toEqual(ends);
    expect(reading.read.value.past).toMatchObject({ earlier, later });
  });

  it("is opened at its end when the line is not there any more", async () => {
    const { reading, span } = long(600).reads("utt_gone");

    await reading.start();

    expect(span()).toEqual(["u101", "u600"]);
  });

  it("leads to a line that is not held by reading around it, and to another without", async () => {
    const { asked, reads } = long(10_000);
    const { reading, span } = reads();
    await reading.start();

    await reading.reach("utt_u9990");
    expect(asked).toEqual(["Past"]);
    await reading.reach("utt_u100");

    expect(span()).toEqual(["u1", "u350"]);
    expect(asked).toEqual(["Past", "Line", "Around c100"]);
  });

  it("says which lines could not be had, and has them when it is asked again", async () => {
    const { state, reads } = long(700);
    const { reading, span } = reads();
    await reading.start();
    state.fails = "network";

    await reading.more("earlier");
    expect(reading.read.value.stuck).toMatchObject({
      way: "earlier",
      failure: { kind: "network" },
    });
    expect(span()).toEqual(["u201", "u700"]);
    state.fails = null;
    await reading.more("earlier");

    expect(reading.read.value.stuck).toBeNull();
    expect(span()).toEqual(["u1", "u700"]);
  });

  it("asks once for the same lines, and drops them when it is left", async () => {
    const { asked, reads } = long(700);
    const { reading, span } = reads();
    await reading.start();

    const both = [reading.more("earlier"), reading.more("earlier")];
    reading.stop();
    await Promise.all(both);

    expect(asked).toEqual(["Past", "Past c201"]);
    expect(span()).toEqual(["u201", "u700"]);
  });

  it("keeps all that was read when its last words come", async () => {
    const { all, state, reads } = long(700);
    state.status = "ENDING";
    const { reading, span } = reads();
    await reading.start();
    await reading.more("earlier");
    all.push(utterance("u701"));
    state.status = "ENDED";

    await vi.advanceTimersByTimeAsync(LAST_WORDS_MS);

    expect(span()).toEqual(["u1", "u701"]);
  });

  it("stays in its middle when something happens at its end", async () => {
    const { asked, reads } = long(10_000);
    const { reading, span } = reads("utt_u5000");
    await reading.start();

    reading.heard(99);
    await vi.advanceTimersByTimeAsync(0);

    expect(span()).toEqual(["u4750", "u5250"]);
    expect(asked).toEqual(["Line", "Around c5000", "Session"]);
  });
});
