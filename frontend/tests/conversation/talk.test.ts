/** Sound, typed lines and the microphone, and every way they can fail. */
import { describe, expect, it } from "vitest";
import { status } from "../../src/features/conversation/messages.ts";
import { isReady, pendingStep, type Session } from "../../src/features/conversation/state.ts";
import { isTooLong } from "../../src/features/conversation/transcript.ts";
import * as texts from "../../src/texts.ts";
import { connection, failure, Scene, session, unfinished, utterance } from "../scene.ts";

const FENCED = 4409;
const joined = (token: string) => ({
  type: "joined" as const,
  session: session("ses_1", { status: "ACTIVE", agentState: "LISTENING", version: 2 }),
  connection: connection(token),
});

describe("the line for sound", () => {
  it.each([1006, 1011, 1012, 4429])("is joined again with a fresh token after %i", (code) => {
    const scene = new Scene().talking();

    scene.answer({ type: "mediaLost", code, isTerminal: false });
    expect(scene.find("wait").timer).toBe("media");
    expect(isReady(scene.state)).toBe(false);
    scene.answer({ type: "time", timer: "media" });
    expect(scene.did).toEqual(["join"]);
    scene.answer(joined("token-2"));

    expect(scene.find("openMedia").connection.token).toBe("token-2");
    scene.answer({ type: "mediaConnected" });
    expect(isReady(scene.state)).toBe(true);
  });

  it.each(["network", "timeout", "server", "busy"] as const)(
    "keeps trying while joining fails: %s",
    (kind) => {
      const scene = new Scene().talking();
      scene.answer({ type: "mediaLost", code: 1006, isTerminal: false });
      scene.answer({ type: "time", timer: "media" });

      scene.answer({ type: "joinFailed", failure: failure(kind) });

      expect(scene.find("wait").timer).toBe("media");
    },
  );

  it.each(["forbidden", "not-found", "invalid"] as const)(
    "stops, and says so, when joining is refused: %s",
    (kind) => {
      const scene = new Scene().talking();
      scene.answer({ type: "mediaLost", code: 1006, isTerminal: false });
      scene.answer({ type: "time", timer: "media" });

      scene.answer({ type: "joinFailed", failure: failure(kind) });

      expect(scene.state.media).toMatchObject({ is: "stopped", problem: "refused" });
      expect(scene.state.problem?.kind).toBe(kind);
    },
  );

  it("that repairs itself is waited for, without asking the server", () => {
    const scene = new Scene().talking();
    scene.answer({ type: "mediaInterrupted" });
    expect(scene.did).toEqual([]);
    expect(status(scene.state).text).toBe("Reconnecting…");
    scene.answer({ type: "mediaConnected" });
    expect(status(scene.state).text).toBe("Listening");

    scene.answer({ type: "mediaInterrupted" });
    scene.answer({ type: "mediaLost", code: 1006, isTerminal: false });
    expect(scene.find("wait").timer).toBe("media");
  });

  it("goes to another window without a fight, and comes back when it is asked to", () => {
    const scene = new Scene().talking();

    scene.answer({ type: "mediaLost", code: FENCED, isTerminal: true });

    expect(scene.did).toEqual(["closeMedia", "closeMicrophone", "remember"]);
    expect(pendingStep(scene.state)).toBe("follow");
    expect(scene.state.words.is).toBe("open");
    scene.send({ type: "online" });
    expect(scene.effects).toEqual([]);
    scene.send({ type: "talkHere" });
    expect(scene.did).toContain("join");
  });

  it("asks three times for a token that is taken, then asks the person", () => {
    const scene = new Scene().talking();
    for (let tries = 0; tries < 3; tries++) {
      scene.answer({ type: "mediaLost", code: 4401, isTerminal: true });
      expect(scene.find("wait").timer).toBe("media");
      scene.answer({ type: "time", timer: "media" });
      scene.answer(joined(`token-${tries}`));
    }

    scene.answer({ type: "mediaLost", code: 4401, isTerminal: true });

    expect(scene.state.media.is).toBe("stopped");
  });
});

describe("the line for sound of a conversation without an agent", () => {
  const FAILED = {
    status: "FAILED" as const,
    failure: { code: "AGENT_UNAVAILABLE", message: "No agent.", isRetryable: true },
  };
  const again = (changes: Partial<Session> = {}) => ({
    type: "agentAsked" as const,
    session: session("ses_1", { status: "STARTING", version: 4, ...changes }),
    connection: connection("token-3"),
  });

  it("is not asked for any more once it is known that there is none", () => {
    const scene = new Scene().talking();
    scene.answer({ type: "mediaLost", code: 1001, isTerminal: false });
    scene.answer({ type: "time", timer: "media" });
    scene.update({ ...FAILED, version: 3 });

    scene.answer({ type: "joinFailed", failure: failure("busy", "No agent.") });

    expect(scene.did).toEqual([]);
    expect(scene.state.media.is).toBe("off");
  });

  it.each(["before", "after"])("is not asked for when it is lost %s that is known", (when) => {
    const scene = new Scene().talking();
    if (when === "after") scene.update({ ...FAILED, version: 3 });
    scene.answer({ type: "mediaLost", code: 1001, isTerminal: false });
    if (when === "before") scene.update({ ...FAILED, version: 3 });

    scene.answer({ type: "time", timer: "media" });

    expect(scene.did).toEqual([]);
    expect(scene.state.media.is).toBe("off");
  });

  it("is opened by the Retry that brings an agent, also while it waits for its next try", () => {
    const scene = new Scene().talking();
    scene.answer({ type: "mediaLost", code: 1001, isTerminal: false });
    scene.update({ ...FAILED, version: 3 });
    expect(scene.state.media.is).toBe("waiting");
    scene.send({ type: "retryAgent" });

    scene.answer(again());

    expect(scene.find("openMedia").connection.token).toBe("token-3");
    scene.answer({ type: "time", timer: "media" });
    expect(scene.did).toEqual([]);
    expect(scene.state.media.is).toBe("connecting");
  });

  it.each(["conflict", "timeout"] as const)(
    "is joined when Retry brought an agent, though its own answer was lost: %s",
    (kind) => {
      const scene = new Scene().talking();
      scene.update({ ...FAILED, version: 3 });
      scene.answer({ type: "mediaLost", code: 1001, isTerminal: false });
      scene.send({ type: "retryAgent" });
      scene.update({ status: "STARTING", version: 4 });

      scene.answer({ type: "agentRefused", failure: failure(kind) });

      expect(scene.did).toContain("join");
      expect(scene.state.media.is).toBe("joining");
    },
  );

  it("is left alone when who asked for an agent is signed out meanwhile", () => {
    const scene = new Scene().talking();
    scene.update({ ...FAILED, version: 3 });
    scene.answer({ type: "mediaLost", code: 1001, isTerminal: false });
    scene.send({ type: "retryAgent" });
    scene.update({ status: "STARTING", version: 4 });
    scene.send({ type: "signedOut" });

    scene.answer({ type: "agentRefused", failure: failure("signed-out") });

    expect(scene.did).toEqual(["tellSignedOut"]);
  });
});

describe("a typed line", () => {
  it("is shown at once, sent, and takes its place when the server has it", () => {
    const scene = new Scene().talking();

    scene.send({ type: "say", key: "t1", text: "hello", at: "2026-11-22T10:00:05Z" });
    expect(scene.state.pending.map((line) => line.text)).toEqual(["hello"]);
    expect(scene.find("send")).toMatchObject({ sessionId: "ses_1", key: "t1", text: "hello" });
    scene.hear([utterance("t1", { source: "TYPED", text: "hello" })]);
    scene.answer({ type: "said", key: "t1", utterance: utterance("t1", { text: "hello" }) });

    expect(scene.state.pending).toEqual([]);
    expect(scene.texts).toEqual(["hello"]);
  });

  it.each(["server", "invalid", "busy", "forbidden"] as const)(
    "stays, with a way to send it again under its key, when it is refused: %s",
    (kind) => {
      const scene = new Scene().talking();
      scene.send({ type: "say", key: "t1", text: "hello", at: "" });

      scene.answer({ type: "notSaid", key: "t1", failure: failure(kind, "why") });
      expect(scene.state.pending[0]?.problem).toBeTruthy();
      scene.send({ type: "sayAgain", key: "t1" });

      expect(scene.find("send")).toMatchObject({ key: "t1", text: "hello" });
      expect(scene.state.pending[0]?.problem).toBeNull();
      expect(scene.send({ type: "sayAgain", key: "t1" })).toEqual([]);
    },
  );

  it("that failed because nobody was signed in does not say so for ever", () => {
    const scene = new Scene().talking();
    scene.send({ type: "say", key: "t1", text: "hello", at: "" });

    scene.answer({ type: "notSaid", key: "t1", failure: failure("signed-out", "Sign in first.") });

    expect(scene.did).toEqual(["tellSignedOut"]);
    expect(scene.state.pending[0]?.problem).toBe("Not sent.");
  });

  it.each([
    ["a".repeat(32_768), false],
    ["a".repeat(32_769), true],
    ["ö".repeat(16_384), false],
    ["ö".repeat(16_385), true],
    ["😀".repeat(8_193), true],
  ])("is not taken when it is more than the server takes: %#", (text, isLong) => {
    const scene = new Scene().talking();
    expect(isTooLong(text)).toBe(isLong);

    scene.send({ type: "say", key: "t1", text, at: "" });

    expect(scene.did).toEqual(isLong ? [] : ["send"]);
    expect(scene.state.pending).toHaveLength(isLong ? 0 : 1);
  });

  it("is nothing when it is blank", () => {
    const scene = new Scene().talking();

    expect(scene.send({ type: "say", key: "t1", text: " \n ", at: "" })).toEqual([]);
  });
});

describe("the microphone", () => {
  it.each(["denied", "missing", "unplugged", "insecure", "failed"] as const)(
    "that is %s has its own sentence and a way on, and typing goes on",
    (problem) => {
      const scene = new Scene().talking();

      scene.send({ type: "microphoneFailed", problem });

      expect(texts.microphone[problem].way).toMatch(/[Tt]yping works/);
      expect(new Set(Object.values(texts.microphone).map(({ what }) => what)).size).toBe(5);
      expect(isReady(scene.state)).toBe(true);
      scene.send({ type: "retryMicrophone" });
      expect(scene.did).toEqual(["openMicrophone"]);
    },
  );

  it("stays muted over New Chat", () => {
    const scene = new Scene().talking();
    scene.send({ type: "mute", isMuted: true });
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({
      type: "chatStarted",
      saved: null,
      session: session("ses_2"),
      connection: connection("token-2"),
    });

    expect(scene.state.microphone).toMatchObject({ is: "on", isMuted: true });
    expect(scene.did).not.toContain("openMicrophone");
  });
});

describe("the microphone beside requests", () => {
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
    const scene = unfinished();
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
    const scene = unfinished();
    scene.send({ type: "newChat", key: "key-2" });

    scene.answer({ type: "requestFailed", failure: failure("server") });

    expect(scene.did).not.toContain("closeMicrophone");
  });

  it("is closed with the access to it, and opened again with both", () => {
    const scene = unfinished();
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
