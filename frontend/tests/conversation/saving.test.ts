/** New Chat and End: what they save and clear, and that no failure loses a word. */
import { describe, expect, it } from "vitest";
import { requestFailure, status } from "../../src/features/conversation/messages.ts";
import { hearing, isBusy, isReady, isSaving } from "../../src/features/conversation/state.ts";
import type { FailureKind } from "../../src/shared/api/failure.ts";
import { connection, failure, Scene, saved, session, utterance } from "../scene.ts";

/** A muted conversation that ends in an unfinished sentence. */
function spoken(): Scene {
  const scene = new Scene().talking();
  scene.send({ type: "mute", isMuted: true });
  scene.hear([utterance("a1"), utterance("a2", { role: "AGENT" })]);
  scene.hear([utterance("a3", { isFinal: false, text: "half a sen" })]);
  return scene;
}

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

describe("a sentence that is being said", () => {
  const midSentence = () => {
    const scene = new Scene().talking();
    scene.send({ type: "microphoneOn" });
    scene.hear([utterance("a1"), utterance("a2", { isFinal: false, text: "half a sen" })]);
    return scene;
  };
  const given = (scene: Scene) => scene.find("startNewChat").previous?.messages.map((m) => m.text);

  it("comes to its end before it is saved", () => {
    const scene = midSentence();

    scene.send({ type: "newChat", key: "key-2" });
    expect(scene.did).toEqual(["wait"]);
    expect(status(scene.state).text).toBe("Finish your sentence…");
    expect(hearing(scene.state)).toBe("now");
    scene.hear([utterance("a2", { isFinal: false, revision: 2, text: "half a sentence" })]);
    expect(scene.did).toEqual([]);
    scene.hear([utterance("a2", { revision: 3, text: "half a sentence and the rest." })]);

    expect(given(scene)).toEqual(["words of a1", "half a sentence and the rest."]);
    expect(scene.find("startNewChat").key).toBe("key-2");
    expect(hearing(scene.state)).toBe("later");
    expect(scene.answer({ type: "time", timer: "sentence" })).toEqual([]);
  });

  it("is waited for two seconds at the most", () => {
    const scene = midSentence();
    scene.send({ type: "newChat", key: "key-2" });
    expect(scene.find("wait")).toMatchObject({ timer: "sentence", atMostMs: 2_000, isExact: true });

    scene.answer({ type: "time", timer: "sentence" });

    expect(given(scene)).toEqual(["words of a1", "half a sen"]);
  });

  it.each([
    ["is muted", { type: "mute", isMuted: true }],
    ["is offline", { type: "offline" }],
  ] as const)("is not waited for where the person %s meanwhile", (_, event) => {
    const scene = midSentence();
    scene.send({ type: "end", key: "key-2" });
    expect(scene.did).toEqual(["wait"]);

    scene.send(event);

    expect(scene.did).toContain("saveSession");
  });

  it("is not the agent's, nor one whose agent is gone", () => {
    const scene = new Scene().talking();
    scene.send({ type: "microphoneOn" });
    scene.hear([utterance("a1", { role: "AGENT", isFinal: false })]);
    scene.send({ type: "newChat", key: "key-2" });
    expect(scene.did).toEqual(["startNewChat"]);

    const alone = midSentence();
    alone.update({ status: "ACTIVE", agentState: null, version: 3 });
    alone.send({ type: "newChat", key: "key-2" });
    expect(alone.did).toEqual(["startNewChat"]);
  });

  it("that ends with the conversation is saved with it", () => {
    const scene = midSentence();
    scene.send({ type: "newChat", key: "key-2" });

    scene.update({ status: "ENDED", agentState: null, version: 9 });

    expect(scene.did).toContain("startNewChat");
  });

  it("takes no second click", () => {
    const scene = midSentence();
    scene.send({ type: "newChat", key: "key-2" });
    const before = scene.state;

    expect(scene.send({ type: "newChat", key: "key-3" })).toEqual([]);
    expect(scene.send({ type: "end", key: "key-3" })).toEqual([]);

    expect(scene.state).toBe(before);
  });
});

describe("New Chat", () => {
  it("hands over finals and interims, in order, with the click's key", () => {
    const scene = spoken();

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
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });
    const before = scene.state;

    for (const type of ["newChat", "newChat", "end", "start"] as const)
      expect(scene.send({ type, key: "key-3" })).toEqual([]);
    expect(scene.send({ type: "retryRequest" })).toEqual([]);

    expect(scene.state).toBe(before);
  });

  it("clears and connects in the order that the design gives", () => {
    const scene = spoken();
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
    const scene = spoken();
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
      const scene = spoken();
      scene.send({ type: "newChat", key: "key-2" });

      scene.answer({ type: "requestFailed", failure: failure(kind) });

      expect(scene.did).not.toContain("wait");
      expect(scene.did).toContain("log");
      expect(scene.state.request?.failure?.kind).toBe(kind);
    },
  );

  it.each(KINDS)("clears nothing and begins nothing when it fails: %s", (kind) => {
    const scene = spoken();
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
    const scene = spoken();
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
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });

    scene.send({ type: "newChat", key: "key-3" });

    expect(scene.find("startNewChat").key).toBe("key-2");
  });

  it("hands over a typed line that could not be sent", () => {
    const scene = spoken();
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
    const scene = spoken();
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
    const scene = spoken();
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
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({ type: "requestFailed", failure: failure("signed-out") });

    expect(scene.did).toEqual(["log", "tellSignedOut"]);
    expect(scene.texts).toHaveLength(3);
  });

  it.each(["newChat", "end"] as const)(
    "says after signing in that it can be saved now, and does so under the old key: %s",
    (type) => {
      const scene = spoken();
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
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });
    const before = told(scene);

    scene.send({ type: "signedIn" });

    expect(told(scene)).toBe(before);
  });

  it("drops answers that belong to a conversation before", () => {
    const scene = spoken();
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
    const scene = spoken();

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
    const scene = spoken();
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
    const scene = spoken();
    scene.send({ type: "end", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });

    scene.send({ type: "newChat", key: "key-3" });

    expect(scene.find("startNewChat").key).toBe("key-3");
  });
});

describe("leaving the page", () => {
  it("ends nothing on the server", () => {
    const scene = spoken();

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

describe("The microphone", () => {
  it("is closed when no conversation could be begun, and opened again by Retry", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    scene.send({ type: "microphoneOn" });

    scene.answer({ type: "requestFailed", failure: failure("server") });

    expect(scene.did).toContain("closeMicrophone");
    expect(scene.state.microphone.is).toBe("off");
    scene.send({ type: "retryRequest" });
    expect(scene.did).toEqual(["startNewChat", "openMicrophone"]);
  });

  it("is closed when the save fails of a conversation that ended meanwhile", () => {
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });
    const session_ = { ...session("ses_1"), status: "ENDING" as const, version: 9 };
    scene.answer({ type: "update", session: session_, isDeleted: false, end: null });
    expect(scene.did).not.toContain("closeMicrophone");

    scene.answer({ type: "requestFailed", failure: failure("timeout") });

    expect(scene.did).toEqual(expect.arrayContaining(["closeMedia", "closeMicrophone"]));
    expect(scene.state.microphone.is).toBe("off");
    expect(scene.state.request?.failure?.kind).toBe("timeout");
    expect(scene.state.transcript.lines.length).toBe(3);
  });

  it("stays open when the save fails of a conversation that goes on", () => {
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({ type: "requestFailed", failure: failure("server") });

    expect(scene.did).not.toContain("closeMicrophone");
  });

  it("is closed with the access to it, and opened again with both", () => {
    const scene = spoken();
    const { transcript } = scene.state;

    scene.send({ type: "signedOut" });

    expect(scene.did).toEqual(["closeMedia", "closeMicrophone"]);
    expect(scene.state.transcript).toBe(transcript);
    expect(scene.send({ type: "signedOut" })).toEqual([]);
    scene.send({ type: "signedIn" });
    expect(scene.did).toEqual(expect.arrayContaining(["openMicrophone", "join"]));
  });

  it("stays off where this page only follows", () => {
    const scene = new Scene();
    scene.send({ type: "attach", session: session("ses_1"), isTalking: false });
    expect(scene.send({ type: "signedOut" })).toEqual([]);
    scene.send({ type: "signedIn" });
    expect(scene.did).not.toContain("openMicrophone");
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
