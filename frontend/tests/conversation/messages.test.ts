/** What the page tells people: one thing at a time, in plain words. */
import { describe, expect, it } from "vitest";
import {
  invitation,
  nameOf,
  noAgent,
  nothingYet,
  problem,
  status,
  stillTalking,
} from "../../src/features/conversation/messages.ts";
import { concern } from "../../src/features/conversation/state.ts";
import { failure, Scene, session } from "../scene.ts";

const NO_WORKER = {
  code: "AGENT_UNAVAILABLE",
  message: "No worker that runs the agent “voxql” is connected.",
  isRetryable: true,
};

describe("what went wrong", () => {
  it.each(["busy", "conflict", "invalid"] as const)("is in the server's words: %s", (kind) => {
    expect(problem(failure(kind, "Try again in 5 seconds."))).toBe("Try again in 5 seconds.");
    expect(problem(failure(kind, ""))).toMatch(/\.$/);
  });

  it("is in the page's own words if the server's say nothing to a person", () => {
    expect(problem(failure("server", "id 7"))).toBe("Something went wrong on the server.");
  });
});

describe("what somebody has to be told", () => {
  it("is nothing while all is well", () => {
    expect(concern(new Scene().talking().state)).toBeNull();
  });

  it("is one thing at a time: what matters most, then what is behind it", () => {
    const scene = new Scene().talking();
    const told = [];
    scene.send({ type: "silenced", isSilenced: true });
    told.push(concern(scene.state));
    scene.send({ type: "microphoneFailed", problem: "missing" });
    told.push(concern(scene.state));
    scene.answer({ type: "mediaLost", code: 4400, isTerminal: true });
    told.push(concern(scene.state));
    scene.update({ status: "ACTIVE", agentState: null, version: 3 });
    told.push(concern(scene.state));
    scene.update({ status: "FAILED", version: 4, failure: NO_WORKER });
    told.push(concern(scene.state));
    scene.send({ type: "newChat", key: "key-2" });
    scene.answer({ type: "requestFailed", failure: failure("server") });
    told.push(concern(scene.state));

    expect(told).toEqual(["silenced", "microphone", "line", "agent-gone", "no-agent", "request"]);
  });

  it("is nothing about this machine's sound while another window talks", () => {
    const scene = new Scene();
    scene.send({ type: "attach", session: session("ses_1"), isTalking: false });

    scene.send({ type: "silenced", isSilenced: true });

    expect(concern(scene.state)).toBeNull();
  });
});

describe("an agent that is gone", () => {
  it("is waited for while the server calls it back by itself, up to its return", () => {
    const scene = new Scene().talking();
    const told = [];
    for (const [version, status] of [
      [3, "ACTIVE"],
      [4, "STARTING"],
    ] as const) {
      scene.update({ status, agentState: null, version });
      told.push(concern(scene.state));
    }
    scene.update({ status: "ACTIVE", agentState: "LISTENING", version: 5 });

    expect(told).toEqual(["agent-gone", "agent-gone"]);
    expect(concern(scene.state)).toBeNull();
  });

  it("is not said to be there", () => {
    const scene = new Scene().talking();
    scene.update({ status: "ACTIVE", agentState: null, version: 3 });

    expect(status(scene.state)).toEqual({ tone: "busy", text: "Waiting for the agent…" });
    expect(invitation(scene.state)).toBe("Type here meanwhile");
    expect(nothingYet(scene.state).way).toMatch(/speak as soon as the agent joins/);
  });
});

describe("an agent that can't be had", () => {
  it("is explained without the server's own words, which are logged once", () => {
    const scene = new Scene().talking();
    const failed = { status: "FAILED", version: 3, failure: NO_WORKER } as const;

    scene.update(failed);
    expect(scene.find("log").failure.message).toContain(NO_WORKER.message);
    scene.update(failed);

    expect(scene.did).toEqual([]);
    expect(noAgent(session("ses_1", failed))).not.toMatch(/worker|connected/i);
  });

  it("is nowhere said to be on its way", () => {
    const scene = new Scene().talking();
    scene.update({ status: "FAILED", version: 3, failure: NO_WORKER });

    expect(status(scene.state).text).toBe("Agent unavailable");
    expect(invitation(scene.state)).toBe("Type here meanwhile");
    expect(nothingYet(scene.state).what).toBe("No agent yet");
  });
});

describe("a conversation on another page", () => {
  it("says whether the microphone is on", () => {
    const scene = new Scene().talking();
    const told = [stillTalking(scene.state)];
    scene.send({ type: "mute", isMuted: true });
    told.push(stillTalking(scene.state));
    scene.send({ type: "microphoneFailed", problem: "unplugged" });
    told.push(stillTalking(scene.state));

    expect(told).toEqual([
      "You're still talking with the agent.",
      "You're muted. Your conversation is still active.",
      "Your conversation is still active.",
    ]);
  });
});

describe("a name", () => {
  it.each([
    ["New Conversation", "How much is it?", "How much is it?"],
    ["New Conversation", null, "New Conversation"],
    ["Prices", "How much is it?", "Prices"],
  ])("of %s with preview %s is %s", (title, preview, name) => {
    expect(nameOf({ title, preview })).toBe(name);
  });
});
