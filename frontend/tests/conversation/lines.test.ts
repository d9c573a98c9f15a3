/** Waiting typed lines: sent automatically, in order and once, or taken back. */
import { describe, expect, it } from "vitest";

import { waiting } from "../../src/features/conversation/messages.ts";
import { connection, failure, Scene, session, utterance } from "../scene.ts";

const says = (scene: Scene, ...keys: string[]) => {
  for (const key of keys) scene.send({ type: "say", key, text: `text of ${key}`, at: "" });
};
const sent = (scene: Scene) => scene.effects.flatMap((it) => (it.do === "send" ? [it.key] : []));
const arrives = (scene: Scene, key: string) =>
  scene.answer({ type: "said", key, utterance: utterance(key, { source: "TYPED" }) });
const fails = (scene: Scene, key: string, kind: Parameters<typeof failure>[0]) =>
  scene.answer({ type: "notSaid", key, failure: failure(kind, "why") });

function offline(): Scene {
  const scene = new Scene().talking();
  scene.send({ type: "offline" });
  return scene;
}

describe("lines that are typed offline", () => {
  it("say what they wait for, and go in order when the network is back", () => {
    const scene = offline();
    says(scene, "t1", "t2", "t3");
    expect(sent(scene)).toEqual([]);
    expect(waiting(scene.state)).toBe("Sends when you're back online.");

    scene.send({ type: "online" });
    expect(sent(scene)).toEqual(["t1"]);
    arrives(scene, "t1");
    expect(sent(scene)).toEqual(["t2"]);
    // The stream may deliver a line before its request is answered.
    scene.hear([utterance("t2", { source: "TYPED" })]);
    expect(sent(scene)).toEqual(["t3"]);
    arrives(scene, "t2");
    expect(sent(scene)).toEqual([]);
    arrives(scene, "t3");

    expect(scene.state.pending).toEqual([]);
    expect(scene.texts).toHaveLength(3);
  });

  it("wait for the words of the conversation, which tell what was said already", () => {
    const scene = offline();
    scene.answer({ type: "wordsLost", failure: null });
    says(scene, "t1", "t2");
    scene.send({ type: "online" });
    expect(sent(scene)).toEqual([]);
    expect(waiting(scene.state)).toBe("Sends when you're connected again.");

    scene.hear([utterance("t1", { source: "TYPED" })]);

    expect(sent(scene)).toEqual(["t2"]);
  });

  it("go once, however often the network comes and goes", () => {
    const scene = offline();
    says(scene, "t1");
    scene.send({ type: "online" });
    expect(sent(scene)).toEqual(["t1"]);
    for (const type of ["offline", "online", "online"] as const) {
      scene.send({ type });
      expect(sent(scene)).toEqual([]);
    }
  });

  it.each(["network", "timeout"] as const)(
    "are tried again under their keys, one by one, when sending fails: %s",
    (kind) => {
      const scene = new Scene().talking();
      says(scene, "t1", "t2");

      fails(scene, "t1", kind);
      expect(sent(scene)).toEqual([]);
      expect(scene.find("wait").timer).toBe("lines");
      const [first] = scene.find("wait").atMostMs ? [scene.find("wait").atMostMs] : [];
      expect(waiting(scene.state)).toBe("Sends when you're connected again.");
      scene.answer({ type: "time", timer: "lines" });
      expect(sent(scene)).toEqual(["t1"]);
      fails(scene, "t1", kind);
      expect(scene.find("wait").atMostMs).toBeGreaterThan(first ?? 0);
      scene.send({ type: "online" });
      expect(sent(scene)).toEqual(["t1"]);
      arrives(scene, "t1");
      expect(sent(scene)).toEqual(["t2"]);
      expect(scene.state.sending.tries).toBe(0);
    },
  );

  it("don't wait for one that was refused", () => {
    const scene = new Scene().talking();
    says(scene, "t1", "t2");

    fails(scene, "t1", "invalid");

    expect(sent(scene)).toEqual(["t2"]);
    expect(scene.state.pending.map(({ problem }) => problem)).toEqual(["why", null]);
  });

  it("are told to be refused where the session stays in another state than it seems", () => {
    const scene = new Scene().talking();
    says(scene, "t1");
    for (const tries of [1, 2]) {
      fails(scene, "t1", "conflict");
      expect(scene.find("wait").timer, `try ${tries}`).toBe("lines");
      scene.answer({ type: "time", timer: "lines" });
      expect(sent(scene)).toEqual(["t1"]);
    }

    fails(scene, "t1", "conflict");

    expect(scene.effects).toEqual([]);
    expect(scene.state.pending[0]?.problem).toBe("why");
  });
});

describe("lines that are typed before the agent is here", () => {
  it.each(["comes", "comes at the second try"])("say so, and go when it %s", (how) => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    const begun = { session: session("ses_1"), connection: connection("token-1") };
    scene.answer({ type: "chatStarted", saved: null, ...begun });
    scene.answer({ type: "mediaConnected" });
    scene.hear([]);
    says(scene, "t1");
    if (how === "comes at the second try") scene.update({ status: "FAILED", version: 2 });
    says(scene, "t2");
    expect(sent(scene)).toEqual([]);
    expect(waiting(scene.state)).toBe("Sends when the agent is here.");

    scene.update({ status: "ACTIVE", agentState: "LISTENING", version: 3 });

    expect(sent(scene)).toEqual(["t1"]);
    arrives(scene, "t1");
    expect(sent(scene)).toEqual(["t2"]);
  });

  it("wait for no agent that was here and is called back", () => {
    const scene = new Scene().talking();
    scene.update({ status: "ACTIVE", agentState: null, version: 3 });

    says(scene, "t1");

    expect(sent(scene)).toEqual(["t1"]);
  });
});

describe("lines that wait for something else", () => {
  it("say when there is no sound", () => {
    const scene = new Scene().talking();
    scene.answer({ type: "mediaLost", code: 4400, isTerminal: true });

    says(scene, "t1");

    expect(sent(scene)).toEqual([]);
    expect(waiting(scene.state)).toBe("Sends when audio is connected.");
  });

  it("go although another window talks now", () => {
    const scene = offline();
    says(scene, "t1");
    scene.answer({ type: "mediaLost", code: 4409, isTerminal: true });

    scene.send({ type: "online" });

    expect(sent(scene)).toEqual(["t1"]);
  });

  it("are handed over with the conversation, and not sent meanwhile", () => {
    const scene = offline();
    says(scene, "t1");
    scene.send({ type: "end", key: "key-2" });
    expect(scene.find("saveSession").previous.messages.map(({ key }) => key)).toEqual(["t1"]);

    scene.send({ type: "online" });
    expect(sent(scene)).toEqual([]);
    says(scene, "t2");
    expect(scene.state.pending).toHaveLength(1);
    scene.answer({ type: "requestFailed", failure: failure("server") });

    expect(sent(scene)).toEqual(["t1"]);
  });
});

describe("lines of a conversation that is over before they could go", () => {
  function late(): Scene {
    const scene = offline();
    says(scene, "t1");
    scene.send({ type: "online" });
    says(scene, "t2");
    scene.update({ status: "ENDED", endReason: "ABANDONED", version: 9 });
    return scene;
  }

  it("are put into it, and stand in their place once the stream has them", () => {
    const scene = late();
    expect(scene.find("saveMore").previous.messages.map(({ key }) => key)).toEqual(["t1", "t2"]);
    fails(scene, "t1", "conflict");
    expect(scene.find("saveMore").previous.messages.map(({ key }) => key)).toEqual(["t1", "t2"]);
    const event = { cursor: "c9", isCaughtUp: true, utterances: [] };
    const end = { reason: "SESSION_ENDED", mayResume: false };
    scene.answer({ type: "words", event, end });

    scene.answer({ type: "handedIn" });
    expect(scene.find("openWords")).toMatchObject({ sessionId: "ses_1", after: "c9" });
    scene.hear([utterance("t1"), utterance("t2")]);

    expect(scene.state.pending).toEqual([]);
    expect(scene.texts).toHaveLength(2);
  });

  it("stay, with a way to try again, where that fails", () => {
    const scene = late();
    fails(scene, "t1", "conflict");

    scene.answer({ type: "notHandedIn" });

    expect(scene.state.pending.map(({ problem }) => problem)).toEqual(["Not sent.", "Not sent."]);
    scene.send({ type: "sayAgain", key: "t2" });
    expect(scene.did).toEqual(["saveMore"]);
  });

  it("are nobody's any more when it is deleted", () => {
    const scene = offline();
    says(scene, "t1");

    scene.answer({ type: "update", session: null, isDeleted: true, end: null });

    expect(scene.did).not.toContain("saveMore");
  });
});

describe("a line that waits", () => {
  it("can be taken back", () => {
    const scene = offline();
    says(scene, "t1", "t2");

    scene.send({ type: "takeBack", key: "t1" });
    scene.send({ type: "online" });

    expect(sent(scene)).toEqual(["t2"]);
  });

  it("can't be taken back once it may have arrived", () => {
    const scene = new Scene().talking();
    says(scene, "t1");
    const sending = scene.state;
    scene.send({ type: "takeBack", key: "t1" });
    expect(scene.state).toBe(sending);
    fails(scene, "t1", "timeout");
    const before = scene.state;

    scene.send({ type: "takeBack", key: "t1" });

    expect(scene.state).toBe(before);
  });

  it("can be taken back when the server does not take it at all", () => {
    const scene = new Scene().talking();
    says(scene, "t1");
    fails(scene, "t1", "invalid");

    scene.send({ type: "takeBack", key: "t1" });

    expect(scene.state.pending).toEqual([]);
  });
});
