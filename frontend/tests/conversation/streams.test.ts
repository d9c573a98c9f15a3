/** The streams of words and updates lose nothing and repeat nothing, whatever breaks. */
import { describe, expect, it } from "vitest";
import { messages } from "../../src/features/conversation/handover.ts";
import { status } from "../../src/features/conversation/messages.ts";
import {
  isReady,
  isRunning,
  isSpoken,
  pendingStep,
} from "../../src/features/conversation/state.ts";
import { NOTHING_SAID, take } from "../../src/features/conversation/transcript.ts";
import { failure, Scene, session, sortKey, utterance } from "../scene.ts";

describe("an interim", () => {
  it("is replaced in place, never a second line", () => {
    const scene = new Scene().talking();
    scene.hear([utterance("a1", { isFinal: false, text: "one" })]);
    scene.hear([utterance("a1", { isFinal: false, revision: 2, text: "one two" })]);
    scene.hear([utterance("a1", { revision: 3, text: "One, two." })]);

    expect(scene.texts).toEqual(["One, two."]);
  });

  it("never takes the place of a newer revision", () => {
    const scene = new Scene().talking();
    scene.hear([utterance("a1", { revision: 3, text: "final" })]);
    const before = scene.state.transcript.lines;

    scene.hear([utterance("a1", { isFinal: false, revision: 2, text: "older" })]);
    scene.hear([utterance("a1", { isFinal: false, revision: 3, text: "the same" })]);

    expect(scene.state.transcript.lines).toBe(before);
  });

  it("leaves the other lines the same objects, so that they are not drawn again", () => {
    const scene = new Scene().talking();
    scene.hear([utterance("a1"), utterance("a2", { isFinal: false })]);
    const [first] = scene.state.transcript.lines;

    scene.hear([utterance("a2", { revision: 2 })]);

    expect(scene.state.transcript.lines[0]).toBe(first);
  });
});

describe("half a sentence", () => {
  const half = (changes = {}) => utterance("a2", { isFinal: false, ...changes });
  const spoken = (scene: Scene) =>
    scene.state.transcript.lines
      .filter((line) => isSpoken(scene.state, line))
      .map(({ key }) => key);

  function inMidSentence(): Scene {
    const scene = new Scene().talking();
    scene.hear([utterance("a1"), half()]);
    return scene;
  }

  it("is still being spoken while its agent is there", () => {
    expect(spoken(inMidSentence())).toEqual(["a2"]);
  });

  it("stays unfinished when its agent is gone, also when another one comes", () => {
    const scene = inMidSentence();

    scene.update({ status: "ACTIVE", agentState: null, version: 3 });
    expect(spoken(scene)).toEqual([]);
    scene.update({ status: "STARTING", agentState: null, version: 4 });
    expect(spoken(scene)).toEqual([]);
    scene.update({ status: "ACTIVE", agentState: "LISTENING", version: 5 });
    scene.hear([utterance("a3", { isFinal: false })]);

    expect(spoken(scene)).toEqual(["a3"]);
  });

  it("goes on when its agent was only away for a moment", () => {
    const scene = inMidSentence();
    scene.update({ status: "ACTIVE", agentState: null, version: 3 });
    scene.update({ status: "ACTIVE", agentState: "LISTENING", version: 3 });

    scene.hear([half({ revision: 2 })]);

    expect(spoken(scene)).toEqual(["a2"]);
  });

  it.each(["FAILED", "ENDED"] as const)("is unfinished once the session is %s", (status) => {
    const scene = inMidSentence();

    scene.update({ status, agentState: null, version: 3 });

    expect(spoken(scene)).toEqual([]);
  });

  it("is known after a reload by what the same side has said since", () => {
    const scene = new Scene();
    const running = session("ses_1", { status: "ACTIVE", agentState: "LISTENING" });
    scene.send({ type: "attach", session: running, isTalking: false });

    scene.hear([half(), utterance("a3"), utterance("a4", { isFinal: false })]);

    expect(spoken(scene)).toEqual(["a4"]);
  });

  it("is spoken by agents, too, that never tell what they are doing", () => {
    const scene = new Scene();
    const running = session("ses_1", { status: "ACTIVE", agentState: null });
    scene.send({ type: "attach", session: running, isTalking: false });

    scene.hear([half()]);

    expect(spoken(scene)).toEqual(["a2"]);
  });
});

describe("the order", () => {
  it("is the server's: by sort key, as text", () => {
    const at = (id: string, sortKey: string) => utterance(id, { id, sortKey });

    const event = {
      cursor: "c",
      isCaughtUp: true,
      utterances: [
        at("d", "8000000002"),
        at("b", "80000000010000000000000001"),
        at("a", "8000000001"),
        at("c", "800000000100000000000000a"),
      ],
    };

    expect(take(NOTHING_SAID, event).lines.map((line) => line.id)).toEqual(["a", "b", "c", "d"]);
  });
});

describe("a stream that breaks", () => {
  it.each([
    ["is lost", failure("network")],
    ["fails on the server", failure("server")],
    ["ends without a word", null],
  ])("goes on from the newest cursor when it %s", (_, why) => {
    const scene = new Scene().talking();
    scene.hear([utterance("a1")], "cursor-7");

    scene.answer({ type: "wordsLost", failure: why });
    expect(scene.find("wait").timer).toBe("words");
    expect(pendingStep(scene.state)).toBe("reconnect");
    expect(status(scene.state)).toEqual({ tone: "busy", text: "Reconnecting…" });
    scene.answer({ type: "time", timer: "words" });

    expect(scene.find("openWords")).toMatchObject({ after: "cursor-7" });
    scene.hear([utterance("a1"), utterance("a2")], "cursor-9");
    expect(scene.texts).toEqual(["words of a1", "words of a2"]);
  });

  it("is back only when something has come on it", () => {
    const scene = new Scene().talking();
    scene.answer({ type: "wordsLost", failure: failure("network") });

    scene.answer({ type: "time", timer: "words" });
    expect(isReady(scene.state)).toBe(false);
    expect(status(scene.state).text).toBe("Reconnecting…");
    scene.hear([]);

    expect(isReady(scene.state)).toBe(true);
  });

  it("waits longer each time, up to 5 s, and starts afresh after an event", () => {
    const scene = new Scene().talking();
    const pauses = [];
    for (let i = 0; i < 8; i++) {
      scene.answer({ type: "wordsLost", failure: failure("network") });
      pauses.push(scene.find("wait").atMostMs);
      scene.answer({ type: "time", timer: "words" });
    }
    scene.hear([]);
    scene.answer({ type: "wordsLost", failure: failure("network") });

    expect(pauses).toEqual([400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
    expect(scene.find("wait").atMostMs).toBe(400);
  });

  it.each(["READER_TOO_SLOW", "SERVER_SHUTDOWN"])("comes back after %s", (reason) => {
    const scene = new Scene().talking();
    const event = { cursor: "cursor-8", isCaughtUp: true, utterances: [] };

    scene.answer({ type: "words", event, end: { reason, mayResume: true } });
    scene.answer({ type: "time", timer: "words" });

    expect(scene.find("openWords").after).toBe("cursor-8");
  });

  it("comes back at once when the network does", () => {
    const scene = new Scene().talking();
    scene.answer({ type: "wordsLost", failure: failure("network") });
    scene.answer({ type: "updatesLost", failure: failure("network") });
    scene.answer({ type: "mediaLost", code: 1006, isTerminal: false });

    scene.send({ type: "online" });

    expect(scene.did).toEqual(["openWords", "openUpdates", "join"]);
  });

  it("gives up a cursor that is refused, and reads everything again without doubles", () => {
    const scene = new Scene().talking();
    scene.hear([utterance("a1")], "bad");

    scene.answer({ type: "wordsLost", failure: failure("invalid") });
    scene.answer({ type: "time", timer: "words" });

    expect(scene.find("openWords").after).toBeNull();
    scene.hear([utterance("a1")], "good");
    expect(scene.texts).toHaveLength(1);
  });

  it("is not opened again when access is gone", () => {
    const scene = new Scene().talking();
    const event = { cursor: "c", isCaughtUp: true, utterances: [] };

    scene.answer({ type: "words", event, end: { reason: "ACCESS_REVOKED", mayResume: false } });
    expect(scene.did).toEqual(["tellSignedOut"]);
    scene.answer({ type: "wordsLost", failure: null });

    expect(scene.effects).toEqual([]);
  });
});

describe("somebody who signs in again", () => {
  it("goes on where access was lost, with sound", () => {
    const scene = new Scene().talking();
    const event = { cursor: "cursor-5", isCaughtUp: true, utterances: [utterance("a1")] };
    const end = { reason: "ACCESS_REVOKED", mayResume: false };
    scene.answer({ type: "words", event, end });
    scene.answer({ type: "update", session: null, isDeleted: false, end });
    scene.answer({ type: "mediaLost", code: 1006, isTerminal: false });
    scene.answer({ type: "time", timer: "media" });
    scene.answer({ type: "joinFailed", failure: failure("signed-out") });

    scene.send({ type: "signedIn" });

    expect(scene.did.filter((name) => name.startsWith("open"))).toEqual([
      "openWords",
      "openUpdates",
    ]);
    expect(scene.did).toContain("join");
    expect(scene.find("openWords").after).toBe("cursor-5");
    expect(scene.texts).toEqual(["words of a1"]);
  });

  it("opens nothing twice", () => {
    const scene = new Scene().talking();

    scene.send({ type: "signedIn" });

    expect(scene.effects).toEqual([]);
  });
});

describe("the session", () => {
  it("drops versions that are older than what it has, but takes the agent's state", () => {
    const scene = new Scene().talking();
    const update = (version: number, agentState: "THINKING" | "SPEAKING") =>
      scene.answer({
        type: "update",
        session: session("ses_1", { status: "ACTIVE", version, agentState }),
        isDeleted: false,
        end: null,
      });

    update(5, "THINKING");
    update(4, "SPEAKING");
    expect(scene.state.session?.agentState).toBe("THINKING");
    update(5, "SPEAKING");

    expect(scene.state.session?.agentState).toBe("SPEAKING");
  });

  it.each(["AGENT_LEFT", "ABANDONED", "START_FAILED", "SAVED"] as const)(
    "that ends by itself (%s) leaves its words on the page and lets go of the rest",
    (endReason) => {
      const scene = new Scene().talking();
      scene.hear([utterance("a1")]);

      scene.answer({
        type: "update",
        session: session("ses_1", { status: "ENDED", version: 7, endReason }),
        isDeleted: false,
        end: null,
      });

      expect(scene.did).toEqual(["closeMedia", "closeMicrophone", "remember"]);
      expect(scene.texts).toEqual(["words of a1"]);
      expect(pendingStep(scene.state)).toBe("over");
      scene.send({ type: "newChat", key: "key-2" });
      expect(scene.find("startNewChat").previous?.sessionId).toBe("ses_1");
    },
  );

  it("that is deleted elsewhere is over", () => {
    const scene = new Scene().talking();

    scene.answer({ type: "update", session: null, isDeleted: true, end: null });

    expect(isRunning(scene.state)).toBe(false);
    expect(scene.did).toContain("closeMedia");
    scene.send({ type: "newChat", key: "key-2" });
    expect(scene.find("startNewChat").previous).toBeNull();
  });
});

describe("what is handed over when it is saved", () => {
  it("leaves out what has no words, and holds the last 10,000", () => {
    const lines = Array.from({ length: 10_002 }, (_, i) =>
      utterance(`a${i}`, { sortKey: sortKey(i), text: i === 3 ? "  " : `t${i}` }),
    );

    const given = messages({ lines, cursor: null, isCaughtUp: true }, []);

    expect(given).toHaveLength(10_000);
    expect(given.at(-1)?.text).toBe("t10001");
    expect(given.some((message) => message.text.trim() === "")).toBe(false);
  });
});
