/** The list of conversations: complete, in order, and never replaced by older data. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { History } from "../../src/features/history/list/history.ts";
import { type Api, Failed, type Sink } from "../../src/shared/api/client.ts";
import { marked } from "../../src/shared/transcript/snippet.ts";
import { failure, session } from "../scene.ts";

type Session = ReturnType<typeof session>;

const said = (id: string, minute: number, changes: Partial<Session> = {}) =>
  session(id, {
    createdAt: `2026-11-22T10:${String(minute).padStart(2, "0")}:00.000000Z`,
    utteranceCount: 2,
    ...changes,
  });

interface Page {
  nodes: Session[];
  hasNextPage: boolean;
  endCursor?: string;
}

const page = (nodes: Session[], endCursor?: string): Page =>
  endCursor === undefined ? { nodes, hasNextPage: false } : { nodes, hasNextPage: true, endCursor };

class FakeApi {
  pages: (Page | Error)[] = [];
  asked: Record<string, unknown>[] = [];
  /** The opened streams, in order. */
  sinks: Sink<{ sessionUpdates: object }>[] = [];
  /** Holds answers back; each `letGo` releases the oldest. */
  isSlow = false;
  #waiting: (() => void)[] = [];

  async query(_: unknown, variables: Record<string, unknown>) {
    this.asked.push(variables);
    const answer = this.pages.shift() ?? page([]);
    if (this.isSlow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (answer instanceof Error) throw answer;
    const { nodes, hasNextPage, endCursor = "end" } = answer;
    const edges = nodes.map((node) => ({ node, match: null }));
    return { sessionHistory: { edges, pageInfo: { hasNextPage, endCursor } } };
  }

  stream(_: unknown, __: unknown, sink: Sink<{ sessionUpdates: object }>) {
    this.sinks.push(sink);
    return () => {};
  }

  happen(update: object) {
    this.sinks.at(-1)?.next({
      sessionUpdates: { session: null, deletedSessionId: null, end: null, ...update },
    });
  }

  async letGo() {
    this.#waiting.shift()?.();
    await settled();
  }
}

async function listed(...pages: FakeApi["pages"]) {
  const api = new FakeApi();
  api.pages = pages;
  const signedOut = vi.fn();
  const history = new History(api as unknown as Api, signedOut);
  history.start();
  api.happen({});
  await settled();
  const ids = () => history.state.entries.map((entry) => entry.session.id);
  return { api, history, signedOut, ids };
}

/** Breaks the stream and skips the pause before the next one. */
async function lost(api: FakeApi, kind: "network" | "signed-out" | null = "network") {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  api.sinks.at(-1)?.done(kind && failure(kind));
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
}

async function reconnected(api: FakeApi, first: Page | Error) {
  api.pages = [first];
  await lost(api);
  api.happen({});
}

const BROKEN = new Failed(failure("server"));

const settled = () => new Promise((resolve) => setTimeout(resolve));

afterEach(() => vi.useRealTimers());

describe("the history", () => {
  it("reads its first page once its stream is registered", async () => {
    const { ids, api } = await listed({ nodes: [said("b", 2), said("a", 1)], hasNextPage: false });

    expect(ids()).toEqual(["b", "a"]);
    expect(api.asked).toHaveLength(1);
  });

  it("puts a new conversation where its time says, as soon as something was said", async () => {
    const { history, api, ids } = await listed({ nodes: [said("a", 1)], hasNextPage: false });

    api.happen({ session: said("c", 3, { utteranceCount: 0 }) });
    expect(ids()).toEqual(["a"]);
    api.happen({ session: said("c", 3) });
    history.take(said("b", 2));

    expect(ids()).toEqual(["c", "b", "a"]);
  });

  it("never shows an older version again", async () => {
    const { history } = await listed({
      nodes: [said("a", 1, { version: 5, title: "new" })],
      hasNextPage: false,
    });

    history.take(said("a", 1, { version: 4, title: "old" }));

    expect(history.state.entries[0]?.session.title).toBe("new");
  });

  it("forgets what is deleted, also when an answer still has it", async () => {
    const { api, history, ids } = await listed({ nodes: [said("a", 1)], hasNextPage: false });

    api.happen({ deletedSessionId: "a" });
    history.take(said("a", 1, { version: 9 }));
    api.pages = [{ nodes: [said("a", 1)], hasNextPage: false }];
    await history.reload();

    expect(ids()).toEqual([]);
  });

  it("goes on where its last page ended, without doubles", async () => {
    const { history, api, ids } = await listed(
      { nodes: [said("c", 3), said("b", 2)], hasNextPage: true },
      { nodes: [said("b", 2), said("a", 1)], hasNextPage: false },
    );

    await history.more();

    expect(api.asked[1]).toMatchObject({ after: "end" });
    expect(ids()).toEqual(["c", "b", "a"]);
    expect(history.state.hasMore).toBe(false);
  });

  it("drops the answer to a search that is not the newest", async () => {
    const { history, api, ids } = await listed({ nodes: [said("a", 1)], hasNextPage: false });
    api.pages = [
      { nodes: [said("x", 1)], hasNextPage: false },
      { nodes: [said("y", 1)], hasNextPage: false },
    ];

    history.search("x");
    history.search("xy");
    await settled();

    expect(ids()).toEqual(["y"]);
    expect(api.asked.at(-1)).toMatchObject({ filter: { search: "xy" } });
  });
});

describe("a list that fails", () => {
  it("says so below its entries when more can't be had, and goes on from there", async () => {
    const { api, history, ids } = await listed(page([said("c", 3), said("b", 2)], "after b"));
    api.pages = [BROKEN, page([said("a", 1)])];

    await history.more();
    expect(history.state).toMatchObject({ failure: { kind: "server" }, isLoading: false });
    expect(ids()).toEqual(["c", "b"]);
    await history.retry();

    expect(api.asked.map(({ after }) => after)).toEqual([null, "after b", "after b"]);
    expect(ids()).toEqual(["c", "b", "a"]);
    expect(history.state.failure).toBeNull();
  });

  it("does not pass what is shown for the results of another search", async () => {
    const { api, history, ids } = await listed(page([said("a", 1)]));
    api.pages = [BROKEN, page([said("x", 1)])];

    history.search("x");
    await settled();
    expect(history.state).toMatchObject({ search: "x", shown: "", failure: { kind: "server" } });
    await history.retry();

    expect(history.state).toMatchObject({ search: "x", shown: "x", failure: null });
    expect(ids()).toEqual(["x"]);
  });

  it("says for which words it was, and not for the next ones", async () => {
    const { api, history } = await listed(page([said("a", 1)]));
    api.pages = [BROKEN];
    history.search("x");
    await settled();

    api.isSlow = true;
    history.search("xy");

    expect(history.state.failure).toBeNull();
  });
});

describe("a list that was cut off for a while", () => {
  const FIRST = page([said("d", 4), said("c", 3)], "after c");

  async function scrolled() {
    const scene = await listed(FIRST);
    scene.api.pages = [page([said("b", 2), said("a", 1)], "after a")];
    await scene.history.more();
    expect(scene.ids()).toEqual(["d", "c", "b", "a"]);
    return scene;
  }

  it("keeps what was loaded below its first page, and the place where that goes on", async () => {
    const { api, history, ids } = await scrolled();

    await reconnected(api, page([said("d", 4, { version: 2, title: "new" }), said("c", 3)], "x"));
    await settled();
    expect(ids()).toEqual(["d", "c", "b", "a"]);
    expect(history.state.entries[0]?.session.title).toBe("new");
    await history.more();

    expect(api.asked.at(-1)).toMatchObject({ after: "after a" });
  });

  it("takes what has come, and drops what is gone from where it should be", async () => {
    const { api, history, ids } = await scrolled();

    await reconnected(api, page([said("e", 5), said("c", 3)], "after c"));
    await settled();

    expect(ids()).toEqual(["e", "c", "b", "a"]);
    expect(history.isGone("d")).toBe(true);
    expect(history.isGone("b")).toBe(false);
  });

  it("begins again where a gap may be between the page and what is held", async () => {
    const { api, history, ids } = await scrolled();

    await reconnected(api, page([said("f", 9), said("e", 8)], "after e"));
    await settled();
    expect(ids()).toEqual(["f", "e"]);
    await history.more();

    expect(api.asked.at(-1)).toMatchObject({ after: "after e" });
  });

  it("keeps what happens while its page is on its way", async () => {
    const { api, ids, history } = await scrolled();
    api.isSlow = true;

    await reconnected(api, FIRST);
    api.happen({ session: said("e", 5) });
    api.happen({ session: said("c", 3, { version: 7, title: "renamed" }) });
    await api.letGo();

    expect(ids()).toEqual(["e", "d", "c", "b", "a"]);
    expect(history.state.entries[2]?.session.title).toBe("renamed");
    expect(history.isGone("e")).toBe(false);
  });

  it("asks for no more meanwhile, and drops the more that was asked for before", async () => {
    const { api, history, ids } = await listed(FIRST);
    api.isSlow = true;
    api.pages = [page([said("z", 0)])];
    void history.more();

    await reconnected(api, page([said("f", 9), said("e", 8)], "after e"));
    await history.more();
    expect(api.asked).toHaveLength(3);
    await api.letGo();
    expect(ids()).toEqual(["d", "c"]);
    await api.letGo();

    expect(ids()).toEqual(["f", "e"]);
    expect(history.state.isLoading).toBe(false);
  });
});

describe("what is known of a session", () => {
  it("is its newest version, also where the list does not show it", async () => {
    const { api, history, ids } = await listed(page([said("b", 2)], "after b"));

    api.happen({ session: said("a", 1, { version: 3, title: "renamed" }) });
    api.happen({ session: said("a", 1, { version: 2, title: "before" }) });

    expect(ids()).toEqual(["b"]);
    expect(history.known("a")?.title).toBe("renamed");
  });
});

describe("a login that ends elsewhere", () => {
  const REVOKED = { end: { reason: "ACCESS_REVOKED", mayResume: false } };

  it("is told when the stream is refused afterwards", async () => {
    const { api, signedOut } = await listed(page([said("a", 1)]));

    api.happen(REVOKED);
    await lost(api, null);
    expect(signedOut).not.toHaveBeenCalled();
    await lost(api, "signed-out");

    expect(signedOut).toHaveBeenCalledOnce();
  });

  it("is told when the stream ends again at once", async () => {
    const { api, signedOut } = await listed(page([said("a", 1)]));

    api.happen(REVOKED);
    await lost(api, null);
    api.happen(REVOKED);
    await lost(api, null);

    expect(signedOut).toHaveBeenCalledOnce();
  });

  it("is told when another one has taken its place, which may be another person's", async () => {
    const { api, signedOut } = await listed(page([said("a", 1)]));

    api.happen(REVOKED);
    await lost(api, null);
    api.happen({});
    await lost(api);
    api.happen({});

    expect(signedOut).toHaveBeenCalledOnce();
  });

  it("is told when a page is refused", async () => {
    const { api, history, signedOut } = await listed(page([said("b", 2)], "after b"));
    api.pages = [new Failed(failure("signed-out"))];

    await history.more();

    expect(signedOut).toHaveBeenCalledOnce();
  });

  it("keeps the list working for the person who is still here", async () => {
    const { api, ids } = await listed(page([said("a", 1)]));

    await lost(api, "signed-out");
    api.pages = [page([said("b", 2), said("a", 1)])];
    api.happen({});
    await settled();

    expect(ids()).toEqual(["b", "a"]);
  });
});

describe("a snippet", () => {
  it("is text whose every second part is marked", () => {
    expect(marked("a <mark>b</mark> &lt;i&gt; &amp;amp;")).toEqual(["a ", "b", " <i> &amp;"]);
  });
});
