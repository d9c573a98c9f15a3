/** A stream settles a request with an unknown outcome, whichever comes first. */
import { describe, expect, it } from "vitest";
import { requestFailure, status } from "../../src/features/conversation/messages.ts";
import { concern, openFailure, type Session } from "../../src/features/conversation/state.ts";
import type { FailureKind } from "../../src/shared/api/failure.ts";
import { connection, failure, Scene, saved, session, utterance } from "../scene.ts";

const KINDS: FailureKind[] = ["network", "timeout", "server", "signed-out", "conflict", "busy"];
const SAVED: Partial<Session> = { status: "ENDING", endReason: "SAVED", version: 9 };

function spoken(): Scene {
  const scene = new Scene().talking();
  scene.hear([utterance("a1"), utterance("a2", { role: "AGENT" })]);
  return scene;
}

/** Fails every try; returns the effects of all tries. */
function fails(scene: Scene, kind: FailureKind): string[] {
  const did: string[] = [];
  for (let tries = 0; tries < 3; tries++) {
    scene.answer({ type: "requestFailed", failure: failure(kind) });
    did.push(...scene.did);
    scene.answer({ type: "time", timer: "request" });
    did.push(...scene.did);
  }
  return did;
}

const told = ({ state }: Scene) =>
  requestFailure(openFailure(state) ?? { kind: "start", failure: null });

/** Whether the stream reports the outcome before or after the request fails. */
const ORDERS = ["before", "after"] as const;
const CASES = KINDS.flatMap((kind) => ORDERS.map((order) => [kind, order] as const));

describe("an End whose answer did not come", () => {
  it.each(CASES)("is no question any more once it is saved: %s, told %s", (kind, order) => {
    const scene = spoken();
    scene.send({ type: "end", key: "key-2" });

    if (order === "before") scene.update(SAVED);
    fails(scene, kind);
    if (order === "after") {
      expect(concern(scene.state)).toBe("request");
      scene.update(SAVED);
    }

    expect(concern(scene.state)).toBeNull();
    expect(scene.state.request).toBeNull();
    expect(status(scene.state).text).toBe("Saved");
    expect(scene.texts).toEqual(["words of a1", "words of a2"]);
    expect(scene.state.microphone.is).toBe("off");
    expect(scene.state.media.is).toBe("off");
  });

  it("is not asked for again where the stream has told it before the network failed", () => {
    const scene = spoken();
    scene.send({ type: "end", key: "key-2" });
    scene.update(SAVED);

    const did = fails(scene, "network");

    expect(did).not.toContain("wait");
    expect(did).not.toContain("saveSession");
    expect(did.filter((what) => what === "closeMicrophone")).toHaveLength(1);
  });

  it("is answered late without a word about it", () => {
    const scene = spoken();
    scene.send({ type: "end", key: "key-2" });
    fails(scene, "timeout");
    scene.update(SAVED);
    const before = scene.state;

    scene.answer({ type: "chatSaved", saved: saved("ses_1") });

    expect(scene.state).toBe(before);
    expect(scene.effects).toEqual([]);
  });

  it.each(["AGENT_LEFT", "ABANDONED"] as const)("is met by another end: %s", (endReason) => {
    const scene = spoken();
    scene.send({ type: "end", key: "key-2" });
    fails(scene, "timeout");

    scene.update({ ...SAVED, endReason });

    expect(concern(scene.state)).toBeNull();
  });

  it("hands in a line that the server may lack", () => {
    const scene = spoken();
    scene.send({ type: "offline" });
    scene.send({ type: "say", key: "t1", text: "typed", at: "2026-11-22T10:00:05Z" });
    scene.send({ type: "end", key: "key-2" });
    fails(scene, "network");

    scene.update(SAVED);

    const { sessionId, messages } = scene.find("saveMore").previous;
    expect(sessionId).toBe("ses_1");
    expect(messages.map(({ key }) => key)).toEqual(["a1", "a2", "t1"]);
  });

  it("stays a question while nothing is told but that it goes on", () => {
    const scene = spoken();
    scene.send({ type: "end", key: "key-2" });
    fails(scene, "timeout");

    scene.update({ status: "ACTIVE", agentState: "THINKING", version: 9 });

    expect(concern(scene.state)).toBe("request");
    expect(told(scene)).toMatch(/may not be saved yet/);
  });
});

describe("a request that the network has failed", () => {
  const clears = {
    "is back": (scene: Scene) => void scene.send({ type: "online" }),
    "brings the stream back": (scene: Scene) => {
      scene.answer({ type: "updatesLost", failure: null });
      scene.answer({ type: "time", timer: "updates" });
      scene.update({ status: "ACTIVE", agentState: "LISTENING", version: 5 });
    },
  };
  it.each(Object.entries(clears))("does not say so any more when it %s", (_, happen) => {
    const scene = spoken();
    const [first] = scene.send({ type: "newChat", key: "key-2" });
    fails(scene, "network");
    expect(told(scene)).toMatch(/^Can't reach the server/);

    happen(scene);

    expect(told(scene)).toMatch(/connected again.* isn't saved yet/);
    expect(scene.send({ type: "retryRequest" })).toEqual([first]);
    scene.answer({ type: "requestFailed", failure: failure("server") });
    expect(told(scene)).toMatch(/^Something went wrong on the server/);
  });

  it("says so while the stream only goes on beside it", () => {
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });
    fails(scene, "network");

    scene.update({ status: "ACTIVE", agentState: "THINKING", version: 5 });

    expect(told(scene)).toMatch(/^Can't reach the server/);
  });

  it("can be asked for again at the start, too", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    fails(scene, "network");

    scene.send({ type: "online" });

    expect(told(scene)).toMatch(/connected again.* start/);
  });
});

describe("a New chat whose answer did not come", () => {
  it.each(CASES)(
    "says only what is still missing, once the one before is saved: %s, told %s",
    (kind, order) => {
      const scene = spoken();
      const [first] = scene.send({ type: "newChat", key: "key-2" });

      if (order === "before") scene.update(SAVED);
      fails(scene, kind);
      if (order === "after") scene.update(SAVED);

      expect(openFailure(scene.state)?.kind).toBe("start");
      expect(told(scene)).not.toMatch(/save/);
      expect(told(scene)).not.toBe("");
      expect(scene.texts).toEqual(["words of a1", "words of a2"]);
      // The same key gets the server's first answer, if there was one.
      expect(scene.send({ type: "retryRequest" })).toEqual([first]);
      scene.answer({
        type: "chatStarted",
        saved: saved("ses_1"),
        session: session("ses_2"),
        connection: connection("token-2"),
      });
      expect(scene.state.session?.id).toBe("ses_2");
      expect(scene.did).toContain("openMicrophone");
    },
  );

  it("is over with the conversation when that is deleted", () => {
    const scene = spoken();
    scene.send({ type: "newChat", key: "key-2" });
    fails(scene, "timeout");

    scene.answer({ type: "update", session: null, isDeleted: true, end: null });

    expect(concern(scene.state)).toBeNull();
    expect(status(scene.state).text).toBe("Deleted");
  });
});

describe("a typed line whose answer did not come", () => {
  it.each(ORDERS)("is said once the stream has it, told %s", (order) => {
    const scene = spoken();
    scene.send({ type: "say", key: "t1", text: "typed", at: "" });

    if (order === "before") scene.hear([utterance("t1", { source: "TYPED", text: "typed" })]);
    scene.answer({ type: "notSaid", key: "t1", failure: failure("timeout") });
    if (order === "after") scene.hear([utterance("t1", { source: "TYPED", text: "typed" })]);

    expect(scene.state.pending).toEqual([]);
    expect(scene.texts.filter((text) => text === "typed")).toHaveLength(1);
    scene.answer({ type: "time", timer: "lines" });
    expect(scene.did).toEqual([]);
  });
});

describe("an agent that could not be asked for", () => {
  it("is no problem any more when it comes after all", () => {
    const scene = new Scene().talking();
    scene.update({ status: "FAILED", version: 3 });
    scene.send({ type: "retryAgent" });
    scene.answer({ type: "agentRefused", failure: failure("timeout") });
    expect(scene.state.problem).not.toBeNull();

    scene.update({ status: "STARTING", version: 4 });

    expect(scene.state.problem).toBeNull();
  });
});

describe("that a conversation is saved", () => {
  const ends = (scene: Scene) => {
    scene.send({ type: "end", key: "key-2" });
    scene.answer({ type: "chatSaved", saved: saved("ses_1") });
    return scene.find("tellSaved").wasUsed;
  };

  it("is told where the person has said something", () => {
    expect(ends(spoken())).toBe(true);
  });

  it.each([
    ["nothing was said", []],
    ["only the agent has greeted", [utterance("a1", { role: "AGENT" })]],
    ["the person was heard without a word", [utterance("a1", { text: " ", isFinal: false })]],
  ])("is not told where %s", (_, lines) => {
    const scene = new Scene().talking();
    scene.hear(lines);

    expect(ends(scene)).toBe(false);
  });

  it("is told of what was typed and not sent", () => {
    const scene = new Scene().talking();
    scene.send({ type: "offline" });
    scene.send({ type: "say", key: "t1", text: "typed", at: "" });

    expect(ends(scene)).toBe(true);
  });
});
