/** Searching one conversation, which may have more matches than fit in one page. */
import { describe, expect, it, vi } from "vitest";
import { addressOf, askedIn, searchOf } from "../../src/features/history/past/address.ts";
import { beside, Finding, placeOf } from "../../src/features/history/past/finding.ts";
import { type Api, Failed } from "../../src/shared/api/client.ts";
import { failure } from "../scene.ts";

type Page = readonly [ids: string[], after: string | null] | Failed;

function pageOf(ids: string[], endCursor: string | null = null, totalCount = ids.length) {
  const edges = ids.map((id) => ({ marked: `<mark>${id}</mark>`, node: { id } }));
  return { totalCount, pageInfo: { hasNextPage: endCursor !== null, endCursor }, edges };
}

/** A server with `total` matches, one page per answer. */
function scene(total: number, ...pages: Page[]) {
  const query = vi.fn(async (_: unknown, __: { search: string; after: string | null }) => {
    const page = pages.shift() ?? [[], null];
    if (page instanceof Failed) throw page;
    const [ids, endCursor] = page;
    return { session: { id: "ses_1", utterances: pageOf(ids, endCursor, total) } };
  });
  const finding = new Finding({ query } as unknown as Api, "ses_1");
  const ids = () => finding.found.value.matches.map(({ id }) => id);
  return { finding, query, pages, ids, found: () => finding.found.value };
}

describe("a search in one conversation", () => {
  it("reads every match, page by page, and says early how many there are", async () => {
    const { finding, query, ids, found } = scene(3, [["a", "b"], "after b"], [["c"], null]);
    const told: unknown[] = [];
    finding.found.watch(() => told.push([found().matches.length, found().total]));

    await finding.search("tea");

    expect(told).toEqual([
      [0, null],
      [2, 3],
      [3, 3],
    ]);
    expect(ids()).toEqual(["a", "b", "c"]);
    expect(found()).toMatchObject({ search: "tea", isComplete: true, failure: null });
    expect(query.mock.calls.map(([, { after }]) => after)).toEqual([null, "after b"]);
  });

  it("asks nothing for blanks", async () => {
    const { finding, query, found } = scene(0);

    await finding.search("  ");

    expect(query).not.toHaveBeenCalled();
    expect(found().total).toBeNull();
  });

  it("drops the answer to older words", async () => {
    const { finding, query, ids, found } = scene(1, [["b"], null]);
    const answer = { session: { id: "ses_1", utterances: pageOf(["a"]) } };
    let late: () => void = () => {};
    query.mockReturnValueOnce(new Promise((resolve) => (late = () => resolve(answer))));

    const older = finding.search("x");
    await finding.search("xy");
    late();
    await older;

    expect(found().search).toBe("xy");
    expect(ids()).toEqual(["b"]);
  });

  it("keeps what it has while the same is looked for anew", async () => {
    const { finding, pages, ids } = scene(2, [["a", "b"], null]);
    await finding.search("tea");
    pages.push([["a"], "after a"], [["b", "c"], null]);
    const held: number[] = [];
    finding.found.watch(() => held.push(ids().length));

    await finding.search("tea");

    expect(Math.min(...held)).toBe(2);
    expect(ids()).toEqual(["a", "b", "c"]);
  });

  it("says why it failed, keeps what it has, and is asked again", async () => {
    const { finding, pages, ids, found } = scene(
      2,
      [["a"], "after a"],
      new Failed(failure("network")),
    );
    await finding.search("tea");
    expect(found()).toMatchObject({ failure: { kind: "network" }, isComplete: false });
    expect(ids()).toEqual(["a"]);

    pages.push([["a", "b"], null]);
    await finding.search("tea");

    expect(found()).toMatchObject({ failure: null, isComplete: true });
  });
});

describe("the way from match to match", () => {
  it("leads around the end when all are known", async () => {
    const { finding, found } = scene(2, [["a", "b"], null]);
    await finding.search("tea");

    expect(beside(found(), "a", 1)?.id).toBe("b");
    expect(beside(found(), "b", 1)?.id).toBe("a");
    expect(beside(found(), "a", -1)?.id).toBe("b");
    expect(placeOf(found(), "b")).toBe(1);
  });

  it("begins at the first from a line that is none", async () => {
    const { finding, found } = scene(2, [["a", "b"], null]);
    await finding.search("tea");

    expect(beside(found(), "elsewhere", -1)?.id).toBe("a");
    expect(placeOf(found(), null)).toBe(-1);
  });

  it("stops where the rest is not known", async () => {
    const { finding, found } = scene(3, [["a", "b"], "after b"], new Failed(failure("server")));
    await finding.search("tea");

    expect(beside(found(), "b", 1)).toBeNull();
    expect(beside(found(), "a", -1)).toBeNull();
  });
});

describe("the address of what was found", () => {
  it("holds words of any kind, and the line", () => {
    const address = addressOf("ses_1", "a&b=c #? שלום", "utt_1");

    expect(address.startsWith("/c/ses_1?")).toBe(true);
    expect(address.match(/[#?]/g)).toEqual(["?"]);
    expect(askedIn(address.slice("/c/ses_1".length))).toEqual({
      search: "a&b=c #? שלום",
      line: "utt_1",
    });
  });

  it("is the conversation's own without a search", () => {
    expect(addressOf("ses_1", " ", null)).toBe("/c/ses_1");
    expect(askedIn("")).toEqual({ search: null, line: null });
    expect(askedIn(searchOf("", null))).toEqual({ search: "", line: null });
  });
});
