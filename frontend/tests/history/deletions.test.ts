/** Deleting a conversation, and undoing that. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Toasts } from "../../src/app/toasts.ts";
import { Deletions, UNDO_MS } from "../../src/features/history/list/deletions.ts";
import { History } from "../../src/features/history/list/history.ts";
import { type Api, createApi, Failed } from "../../src/shared/api/client.ts";
import { DeleteSessionDocument } from "../../src/shared/api/generated/graphql.ts";
import { failure, session } from "../scene.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const said = (id: string, title = id) => session(id, { title, status: "ENDED", utteranceCount: 1 });

async function listed(...ids: string[]) {
  const mutate = vi.fn(async (_: unknown, __: { id: string }) => ({}));
  const leave = vi.fn();
  let happen: (update: object) => void = () => {};
  const api = {
    mutate,
    leave,
    query: async () => ({
      sessionHistory: {
        edges: ids.map((id) => ({ node: said(id), match: null })),
        pageInfo: { hasNextPage: false, endCursor: null },
      },
    }),
    stream: (_: unknown, __: unknown, sink: { next(value: object): void }) => {
      happen = (update) =>
        sink.next({
          sessionUpdates: { session: null, deletedSessionId: null, end: null, ...update },
        });
      return () => {};
    },
  };
  const history = new History(api as unknown as Api);
  const toasts = new Toasts();
  const deleted = vi.fn();
  const deletions = new Deletions(history, toasts, deleted);
  history.start();
  happen({});
  await vi.advanceTimersByTimeAsync(0);
  return {
    history,
    toasts,
    deletions,
    deleted,
    mutate,
    leave,
    happen: (update: object) => happen(update),
    shown: () => history.state.entries.map((entry) => entry.session.id),
    notes: () => toasts.value.map(({ text }) => text.replace(/[\u2068\u2069]/g, "")),
    asked: () => mutate.mock.calls.map(([, { id }]) => id),
  };
}

describe("a conversation that is deleted", () => {
  it("is gone from the list at once, and from the server ten seconds later", async () => {
    const { deletions, history, shown, notes, asked, deleted } = await listed("a", "b");

    deletions.begin(said("a"));
    expect(shown()).toEqual(["b"]);
    expect(history.isGone("a")).toBe(true);
    expect(notes()).toEqual(["“a” deleted"]);
    await vi.advanceTimersByTimeAsync(UNDO_MS - 1);
    expect(asked()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);

    expect(asked()).toEqual(["a"]);
    expect(deleted).toHaveBeenCalledExactlyOnceWith("a");
    expect(notes()).toEqual([]);
    expect(shown()).toEqual(["b"]);
  });

  it("is back where it was when that is undone, and the server never hears of it", async () => {
    const { deletions, history, toasts, shown, asked } = await listed("a", "b", "c");
    const undone = vi.fn();
    deletions.begin(said("b"), undone);

    toasts.value[0]?.action?.run();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(shown()).toEqual(["a", "b", "c"]);
    expect(history.isGone("b")).toBe(false);
    expect(undone).toHaveBeenCalledOnce();
    expect(asked()).toEqual([]);
    expect(toasts.value).toEqual([]);
    expect(deletions.isOpen).toBe(false);
  });

  it("is undone by itself, also with others of the same name", async () => {
    const { deletions, shown, notes, asked } = await listed("a", "b", "c");
    deletions.begin(said("a", "same"));
    deletions.begin(said("b", "same"));
    expect(notes()).toEqual(["“same” deleted", "“same” deleted"]);

    deletions.undoLast();
    await vi.advanceTimersByTimeAsync(UNDO_MS);

    expect(shown()).toEqual(["b", "c"]);
    expect(asked()).toEqual(["a"]);
  });

  it("is asked for once, however often it is deleted", async () => {
    const { deletions, asked, notes } = await listed("a");
    deletions.begin(said("a"));
    deletions.begin(said("a"));
    expect(notes()).toHaveLength(1);

    await vi.advanceTimersByTimeAsync(60_000);

    expect(asked()).toEqual(["a"]);
  });

  it("comes back with the reason when it could not be deleted, and can be tried again", async () => {
    const { deletions, toasts, shown, notes, mutate, asked, deleted } = await listed("a", "b");
    mutate.mockRejectedValueOnce(new Failed(failure("network")));
    deletions.begin(said("a"));

    await vi.advanceTimersByTimeAsync(UNDO_MS);
    expect(shown()).toEqual(["a", "b"]);
    expect(notes()).toEqual(["Couldn't delete this. Can't reach the server."]);
    expect(deleted).not.toHaveBeenCalled();
    toasts.value[0]?.action?.run();
    await vi.advanceTimersByTimeAsync(UNDO_MS);

    expect(asked()).toEqual(["a", "a"]);
    expect(shown()).toEqual(["b"]);
  });

  it("is as good as deleted when somebody else was quicker", async () => {
    const { deletions, mutate, notes, shown } = await listed("a");
    mutate.mockRejectedValueOnce(new Failed(failure("not-found")));
    deletions.begin(said("a"));

    await vi.advanceTimersByTimeAsync(UNDO_MS);

    expect(notes()).toEqual([]);
    expect(shown()).toEqual([]);
  });

  it("can't be brought back once another window has deleted it", async () => {
    const { deletions, happen, notes, asked, deleted, shown } = await listed("a", "b");
    deletions.begin(said("a"));

    happen({ deletedSessionId: "a" });
    expect(notes()).toEqual([]);
    deletions.undo("a");
    await vi.advanceTimersByTimeAsync(60_000);

    expect(shown()).toEqual(["b"]);
    expect(asked()).toEqual([]);
    expect(deleted).toHaveBeenCalledOnce();
  });

  it("stays hidden when it is told of meanwhile, or the list is read anew", async () => {
    const { deletions, history, happen, shown } = await listed("a", "b");
    deletions.begin(said("a"));

    happen({ session: { ...said("a"), version: 9 } });
    await history.reload();
    expect(shown()).toEqual(["b"]);
    deletions.undo("a");

    expect(shown()).toEqual(["a", "b"]);
    expect(history.known("a")?.version).toBe(9);
  });
});

describe("the time for undoing it", () => {
  it("waits while somebody is at the note", async () => {
    const { deletions, toasts, asked } = await listed("a");
    deletions.begin(said("a"));
    const action = toasts.value[0]?.action;

    action?.attended?.(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked()).toEqual([]);
    action?.attended?.(false);
    await vi.advanceTimersByTimeAsync(UNDO_MS);

    expect(asked()).toEqual(["a"]);
  });

  it("is over when the note is dismissed", async () => {
    const { deletions, toasts, asked } = await listed("a");
    deletions.begin(said("a"));

    toasts.value[0]?.action?.dismissed?.();

    expect(asked()).toEqual(["a"]);
  });

  it("is over before somebody else signs in", async () => {
    const { deletions, asked } = await listed("a", "b");
    deletions.begin(said("a"));
    deletions.begin(said("b"));

    await deletions.finish();

    expect(asked()).toEqual(["a", "b"]);
    expect(deletions.isOpen).toBe(false);
  });

  it("is over when the page goes away, with a request that outlives it", async () => {
    const { deletions, leave, asked, notes } = await listed("a", "b");
    deletions.begin(said("a"));
    deletions.begin(said("b"));

    deletions.leave();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(leave.mock.calls).toEqual([
      [DeleteSessionDocument, { id: "a" }],
      [DeleteSessionDocument, { id: "b" }],
    ]);
    expect(asked()).toEqual([]);
    expect(notes()).toEqual([]);
  });

  it("was over when the page goes away, before the server has answered", async () => {
    const { deletions, leave, mutate } = await listed("a");
    mutate.mockReturnValueOnce(new Promise(() => {}));
    deletions.begin(said("a"));
    await vi.advanceTimersByTimeAsync(UNDO_MS);

    deletions.leave();

    expect(leave.mock.calls).toEqual([[DeleteSessionDocument, { id: "a" }]]);
  });

  it("ends without a deletion when nobody is signed in any more", async () => {
    const { deletions, asked } = await listed("a");
    deletions.begin(said("a"));

    deletions.drop();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(asked()).toEqual([]);
  });
});

describe("a request from a page that goes away", () => {
  it("is kept alive by the browser, and asks for no more than it says", async () => {
    // Node 20 has no WebSocket; this test streams nothing.
    vi.stubGlobal("WebSocket", class {});
    const fetcher = vi.fn(async (_: string, __: RequestInit) => new Response("{}"));
    const api = createApi("http://127.0.0.1", fetcher as unknown as typeof fetch);

    api.leave(DeleteSessionDocument, { id: "ses_1" });

    const [url, options] = fetcher.mock.calls[0] ?? [];
    expect(url).toBe("http://127.0.0.1/graphql");
    expect(options).toMatchObject({ method: "POST", keepalive: true });
    expect(JSON.parse(String(options?.body))).toEqual({
      query: String(DeleteSessionDocument),
      variables: { id: "ses_1" },
    });
  });
});
