/** The list of conversations: complete, in order, and never older than what it showed. */
import { describe, expect, it } from "vitest";

import type { Api, Sink } from "../src/api/client.ts";
import { History, marked } from "../src/history/history.ts";
import { session } from "./scene.ts";

type Session = ReturnType<typeof session>;

const said = (id: string, minute: number, changes: Partial<Session> = {}) =>
  session(id, {
    createdAt: `2026-11-22T10:${String(minute).padStart(2, "0")}:00.000000Z`,
    utteranceCount: 2,
    ...changes,
  });

class FakeApi {
  pages: { nodes: Session[]; hasNextPage: boolean }[] = [];
  asked: Record<string, unknown>[] = [];
  sink: Sink<{ sessionUpdates: object }> | null = null;

  query(_: unknown, variables: Record<string, unknown>) {
    this.asked.push(variables);
    const { nodes, hasNextPage } = this.pages.shift() ?? { nodes: [], hasNextPage: false };
    const edges = nodes.map((node) => ({ node, match: null }));
    return Promise.resolve({
      sessionHistory: { edges, pageInfo: { hasNextPage, endCursor: "end" } },
    });
  }

  stream(_: unknown, __: unknown, sink: Sink<{ sessionUpdates: object }>) {
    this.sink = sink;
    return () => {};
  }

  happen(update: object) {
    this.sink?.next({
      sessionUpdates: { session: null, deletedSessionId: null, end: null, ...update },
    });
  }
}

async function listed(...pages: FakeApi["pages"]) {
  const api = new FakeApi();
  api.pages = pages;
  const history = new History(api as unknown as Api);
  history.start();
  api.happen({});
  await settled();
  return { api, history, ids: () => history.state.entries.map((entry) => entry.session.id) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

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

describe("a snippet", () => {
  it("is text whose every second part is marked", () => {
    expect(marked("a <mark>b</mark> &lt;i&gt; &amp;amp;")).toEqual(["a ", "b", " <i> &amp;"]);
  });
});
