/** New Chat and End: what they save and clear, and that no failure loses a word. */
import { describe, expect, it } from "vitest";
import { requestFailure } from "../../src/features/conversation/messages.ts";
import { isBusy, isReady, isSaving } from "../../src/features/conversation/state.ts";
import type { FailureKind } from "../../src/shared/api/failure.ts";
import { connection, failure, Scene, saved, session, unfinished, utterance } from "../scene.ts";

/** The notice about the failed request. */
const told = ({ state }: Scene) =>
  requestFailure(state.request ?? { kind: "start", failure: null });

const KINDS: FailureKind[] = [
  "network",
  "timeout",
  "signed-out",
  "forbidden",
  "not-found",
  "invalid",
  "conflict",
  "busy",
  "server",
];

describe("New Chat", () => {
  it("hands over finals and interims, in order, with the click's key", () => {
    const scene = unfinished();

    scene.send({ type: "newChat", key: "key-2" });

    const { previous, key } = scene.find("startNewChat");
    expect(key).toBe("key-2");
    expect(previous?.sessionId).toBe("ses_1");
    expect(previous?.messages.map((m) => [m.key, m.role, m.text, m.isFinal])).toEqual([
      ["a1", "USER", "words of a1", true],
      ["a2", "AGENT", "words of a2", true],
      ["a3", "USER", "half a sen", false],
    ]);
    expect(isSaving(scene.state)).toBe(true);
    expect(isReady(scene.state)).toBe(false);
  });

  it("ignores every further click while it works, whatever it is on", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });
    const before = scene.state;

    for (const type of ["newChat", "newChat", "end", "start"] as const)
      expect(scene.send({ type, key: "key-3" })).toEqual([]);
    expect(scene.send({ type: "retryRequest" })).toEqual([]);

    expect(scene.state).toBe(before);
  });

  it("clears and connects in the order that the design gives", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({
      type: "chatStarted",
      saved: saved("ses_1"),
      session: session("ses_2"),
      connection: connection("token-2"),
    });

    expect(scene.did).toEqual([
      "closeStreams",
      "closeMedia",
      "tellSaved",
      "openWords",
      "openUpdates",
      "wait",
      "remember",
      "show",
      "openMedia",
    ]);
    expect(scene.state.session?.id).toBe("ses_2");
    expect(scene.state.session?.title).toBe("New Conversation");
    expect(scene.texts).toEqual([]);
    expect(scene.state.pending).toEqual([]);
    expect(scene.state.transcript.cursor).toBeNull();
    expect(scene.state.request).toBeNull();
    expect(scene.state.problem).toBeNull();
    expect(scene.find("openWords")).toMatchObject({ sessionId: "ses_2", after: null });
    expect(isReady(scene.connected("ses_2").state)).toBe(true);
  });

  it("begins with an empty conversation without saving a word of it", () => {
    const scene = new Scene().talking();

    scene.send({ type: "newChat", key: "key-2" });

    expect(scene.find("startNewChat").previous).toEqual({ sessionId: "ses_1", messages: [] });
  });

  it("tries three times on a dead network, under one key and with the same words", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });
    const first = scene.find("startNewChat");

    for (const again of [1, 2]) {
      scene.answer({ type: "requestFailed", failure: failure("network") });
      expect(scene.did).toEqual(["wait"]);
      expect(scene.find("wait").timer).toBe("request");
      expect(isSaving(scene.state)).toBe(true);
      scene.answer({ type: "time", timer: "request" });
      expect(scene.find("startNewChat"), `try ${again + 1}`).toEqual(first);
    }
    scene.answer({ type: "requestFailed", failure: failure("network") });

    expect(scene.did).toEqual(["log"]);
    expect(isBusy(scene.state)).toBe(false);
    expect(scene.state.request?.failure?.kind).toBe("network");
  });

  it.each(KINDS.filter((kind) => kind !== "network"))(
    "does not repeat by itself after: %s",
    (kind) => {
      const scene = unfinished();
      scene.send({ type: "newChat", key: "key-2" });

      scene.answer({ type: "requestFailed", failure: failure(kind) });

      expect(scene.did).not.toContain("wait");
      expect(scene.did).toContain("log");
      expect(scene.state.request?.failure?.kind).toBe(kind);
    },
  );

  it.each(KINDS)("clears nothing and begins nothing when it fails: %s", (kind) => {
    const scene = unfinished();
    const before = scene.state;
    scene.send({ type: "newChat", key: "key-2" });
    for (let tries = 0; tries < 3; tries++) {
      scene.answer({ type: "requestFailed", failure: failure(kind) });
      scene.answer({ type: "time", timer: "request" });
    }

    expect(scene.state.transcript).toBe(before.transcript);
    expect(scene.state.session).toBe(before.session);
    expect(scene.state.epoch).toBe(before.epoch);
    expect(scene.state.media).toBe(before.media);
    expect(scene.state.words).toBe(before.words);
    expect(isReady(scene.state)).toBe(true);
  });

  it("says something of its own for each kind of failure", () => {
    const told = KINDS.map((kind) => requestFailure({ kind: "next", failure: failure(kind) }));

    expect(new Set(told).size).toBe(KINDS.length);
  });

  it("retries under the old key, and hands in what was said meanwhile afterwards", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });
    const first = scene.find("startNewChat");
    scene.answer({ type: "requestFailed", failure: failure("timeout") });
    scene.hear([utterance("a3", { revision: 5, text: "half a sentence, and its end" })]);
    scene.hear([utterance("a4", { text: "one more" })]);

    scene.send({ type: "retryRequest" });
    expect(scene.find("startNewChat")).toEqual(first);
    scene.answer({
      type: "chatStarted",
      saved: saved("ses_1"),
      session: session("ses_2"),
      connection: connection("token-2"),
    });

    const more = scene.find("saveMore").previous;
    expect(scene.did[0]).toBe("saveMore");
    expect(more.sessionId).toBe("ses_1");
    expect(more.messages.map((m) => m.text)).toEqual([
      "words of a1",
      "words of a2",
      "half a sentence, and its end",
      "one more",
    ]);
  });

  it("takes a second click after a failure for a retry", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });

    scene.send({ type: "newChat", key: "key-3" });

    expect(scene.find("startNewChat").key).toBe("key-2");
  });

  it("hands over a typed line that could not be sent", () => {
    const scene = unfinished();
    scene.send({ type: "say", key: "t1", text: "typed", at: "2026-11-22T10:00:09.000Z" });
    scene.answer({ type: "notSaid", key: "t1", failure: failure("network") });

    scene.send({ type: "newChat", key: "key-2" });

    expect(scene.find("startNewChat").previous?.messages.at(-1)).toEqual({
      key: "t1",
      role: "USER",
      text: "typed",
      timestamp: "2026-11-22T10:00:09.000Z",
      isFinal: true,
    });
  });

  it("stays on the page when the old session ends before its own answer is there", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({
      type: "update",
      session: session("ses_1", { status: "ENDING", version: 9 }),
      isDeleted: false,
      end: null,
    });

    expect(scene.did).toEqual([]);
    expect(isSaving(scene.state)).toBe(true);
    expect(scene.texts).toHaveLength(3);
  });

  it("shows a next conversation whose agent can't be had, and keeps what was saved", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({
      type: "chatStarted",
      saved: saved("ses_1"),
      session: session("ses_2", {
        status: "FAILED",
        failure: { code: "AGENT_UNAVAILABLE", message: "No agent.", isRetryable: true },
      }),
      connection: null,
    });

    expect(scene.did).toContain("tellSaved");
    expect(scene.did).not.toContain("openMedia");
    expect(scene.state.media.is).toBe("off");
    expect(scene.find("log").failure.message).toBe("AGENT_UNAVAILABLE: No agent.");
  });

  it("tells the app when nobody is signed in any more, and keeps the words", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({ type: "requestFailed", failure: failure("signed-out") });

    expect(scene.did).toEqual(["log", "tellSignedOut"]);
    expect(scene.texts).toHaveLength(3);
  });

  it.each(["newChat", "end"] as const)(
    "says after signing in that it can be saved now, and does so under the old key: %s",
    (type) => {
      const scene = unfinished();
      const [first] = scene.send({ type, key: "key-2" });
      scene.answer({ type: "requestFailed", failure: failure("signed-out") });
      scene.send({ type: "signedOut" });
      expect(told(scene)).toContain("You're signed out.");

      scene.send({ type: "signedIn" });

      expect(told(scene)).toMatch(/^You were signed out, .* isn't saved yet/);
      expect(isBusy(scene.state)).toBe(false);
      expect(scene.send({ type: "retryRequest" })[0]).toEqual(first);
      scene.answer({ type: "requestFailed", failure: failure("signed-out") });
      expect(told(scene)).toContain("You're signed out.");
    },
  );

  it("says after signing in that a conversation can be started now", () => {
    const scene = new Scene();
    const [first] = scene.send({ type: "start", key: "key-1" });
    scene.answer({ type: "requestFailed", failure: failure("signed-out") });

    scene.send({ type: "signedIn" });

    expect(told(scene)).toMatch(/^You were signed out\./);
    expect(scene.send({ type: "retryRequest" })[0]).toEqual(first);
  });

  it("leaves other failures as they are when somebody signs in", () => {
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });
    const before = told(scene);

    scene.send({ type: "signedIn" });

    expect(told(scene)).toBe(before);
  });

  it("drops answers that belong to a conversation before", () => {
    const scene = unfinished();
    const old = scene.state.epoch;
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({
      type: "chatStarted",
      saved: saved("ses_1"),
      session: session("ses_2"),
      connection: connection("token-2"),
    });
    const before = scene.state;

    const event = { cursor: "late", isCaughtUp: true, utterances: [utterance("a9")] };
    scene.send({ epoch: old, type: "words", event, end: null });
    scene.send({ epoch: old, type: "requestFailed", failure: failure("network") });
    scene.send({ epoch: old, type: "mediaLost", code: 1000, isTerminal: true });
    scene.send({ epoch: old, type: "time", timer: "request" });

    expect(scene.state).toBe(before);
  });
});

describe("End", () => {
  it("saves, cleans up in the same way and begins nothing", () => {
    const scene = unfinished();

    scene.send({ type: "end", key: "key-2" });
    expect(scene.find("saveSession").previous.messages).toHaveLength(3);
    scene.answer({ type: "chatSaved", saved: saved("ses_1") });

    expect(scene.did).toEqual([
      "tellSaved",
      "closeStreams",
      "closeMedia",
      "closeMicrophone",
      "remember",
      "hide",
    ]);
    expect(scene.find("remember").sessionId).toBeNull();
    expect(scene.state.session).toBeNull();
    expect(scene.texts).toEqual([]);
  });

  it.each(KINDS)("keeps everything when it fails: %s", (kind) => {
    const scene = unfinished();
    scene.send({ type: "end", key: "key-2" });
    for (let tries = 0; tries < 3; tries++) {
      scene.answer({ type: "requestFailed", failure: failure(kind) });
      scene.answer({ type: "time", timer: "request" });
    }

    expect(scene.texts).toHaveLength(3);
    expect(scene.state.session?.id).toBe("ses_1");
    expect(scene.state.request?.failure?.kind).toBe(kind);
  });

  it("lets New Chat be chosen after it failed, under a key of its own", () => {
    const scene = unfinished();
    scene.send({ type: "end", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });

    scene.send({ type: "newChat", key: "key-3" });

    expect(scene.find("startNewChat").key).toBe("key-3");
  });
});

describe("leaving the page", () => {
  it("ends nothing on the server", () => {
    const scene = unfinished();

    scene.send({ type: "leave" });

    expect(scene.did).toEqual([
      "closeStreams",
      "closeMedia",
      "closeMicrophone",
      "remember",
      "hide",
    ]);
    expect(scene.state.session).toBeNull();
  });
});

describe("Another conversation", () => {
  it("does not take the place of the one that is being asked for", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    expect(scene.send({ type: "attach", session: session("ses_9"), isTalking: true })).toEqual([]);

    scene.answer({
      type: "chatStarted",
      saved: null,
      session: session("ses_1"),
      connection: connection("t1"),
    });

    expect(scene.state.session?.id).toBe("ses_1");
  });
});
