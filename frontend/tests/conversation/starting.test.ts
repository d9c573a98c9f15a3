/** Starting: what must be ready before a person can talk, and the status until then. */
import { describe, expect, it } from "vitest";
import { status } from "../../src/features/conversation/messages.ts";
import { isReady, pendingStep } from "../../src/features/conversation/state.ts";
import { connection, failure, Scene, session } from "../scene.ts";

function started(): Scene {
  const scene = new Scene();
  scene.send({ type: "start", key: "key-1" });
  scene.answer({
    type: "chatStarted",
    saved: null,
    session: session("ses_1"),
    connection: connection("token-1"),
  });
  return scene;
}

const active = (version = 2) =>
  ({
    type: "update",
    session: session("ses_1", { status: "ACTIVE", agentState: "LISTENING", version }),
    isDeleted: false,
    end: null,
  }) as const;

describe("the first click", () => {
  it("asks for the session and, within the click, for the microphone", () => {
    const scene = new Scene();

    scene.send({ type: "start", key: "key-1" });

    expect(scene.did).toEqual(["startNewChat", "openMicrophone"]);
    expect(scene.find("startNewChat").previous).toBeNull();
    expect(status(scene.state).text).toBe("Starting…");
  });

  it("counts once, however often it is clicked", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });

    expect(scene.send({ type: "start", key: "key-2" })).toEqual([]);
    expect(scene.send({ type: "newChat", key: "key-3" })).toEqual([]);
  });

  it("asks for the microphone once only", () => {
    const scene = started();

    expect(scene.did).not.toContain("openMicrophone");
  });

  it("says why it failed, and retries under the same key", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    scene.answer({ type: "requestFailed", failure: failure("server") });
    expect(scene.state.request?.failure?.kind).toBe("server");

    scene.send({ type: "retryRequest" });

    expect(scene.find("startNewChat").key).toBe("key-1");
  });
});

describe("input", () => {
  it("waits for the words, the sound and the agent, and says for which", () => {
    const scene = new Scene();
    const steps = [pendingStep(scene.state)];
    scene.send({ type: "start", key: "key-1" });
    scene.answer({
      type: "chatStarted",
      saved: null,
      session: session("ses_1"),
      connection: connection("token-1"),
    });
    steps.push(pendingStep(scene.state));
    scene.hear([]);
    steps.push(pendingStep(scene.state));
    scene.answer({ type: "mediaConnected" });
    steps.push(pendingStep(scene.state));
    scene.answer(active());
    steps.push(pendingStep(scene.state));

    expect(steps).toEqual(["session", "transcript", "sound", "agent", null]);
    expect(isReady(scene.state)).toBe(true);
  });

  it.each([
    ["media", (scene: Scene) => scene.answer({ type: "mediaConnected" })],
    ["the past", (scene: Scene) => scene.hear([])],
    ["the agent", (scene: Scene) => scene.answer(active())],
  ])("keeps what is typed while only %s is missing, and sends it then", (missing, _) => {
    const steps = {
      media: (scene: Scene) => scene.answer({ type: "mediaConnected" }),
      "the past": (scene: Scene) => scene.hear([]),
      "the agent": (scene: Scene) => scene.answer(active()),
    };
    const scene = started();
    for (const [name, happen] of Object.entries(steps)) if (name !== missing) happen(scene);

    expect(isReady(scene.state)).toBe(false);
    scene.send({ type: "say", key: "t1", text: "too early", at: "" });

    expect(scene.state.pending).toHaveLength(1);
    expect(scene.effects).toEqual([]);
    steps[missing as keyof typeof steps](scene);
    expect(scene.did).toEqual(["send"]);
  });

  it("works without a microphone", () => {
    const scene = started();
    scene.send({ type: "microphoneFailed", problem: "denied" });
    scene.connected("ses_1");

    expect(isReady(scene.state)).toBe(true);
  });
});

describe("an agent that does not come", () => {
  const failed = {
    type: "update",
    session: session("ses_1", {
      status: "FAILED",
      version: 2,
      failure: { code: "AGENT_TIMEOUT", message: "It did not come.", isRetryable: true },
    }),
    isDeleted: false,
    end: null,
  } as const;

  it("is an error with its reason, and closes the input", () => {
    const scene = started();
    scene.answer(failed);

    expect(pendingStep(scene.state)).toBe("retry");
    expect(status(scene.state)).toEqual({ tone: "problem", text: "Agent unavailable" });
  });

  it("is asked for again once, however often Retry is clicked", () => {
    const scene = started();
    scene.answer(failed);

    scene.send({ type: "retryAgent" });
    expect(scene.did).toEqual(["retryAgent"]);
    expect(scene.send({ type: "retryAgent" })).toEqual([]);
    scene.answer({
      type: "agentAsked",
      session: session("ses_1", { version: 3 }),
      connection: connection("token-2"),
    });

    expect(scene.state.isRetryingAgent).toBe(false);
    expect(scene.state.session?.status).toBe("STARTING");
  });

  it("gets a line for sound with the retry when there was none", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    scene.answer({
      type: "chatStarted",
      saved: null,
      session: session("ses_1", { status: "FAILED" }),
      connection: null,
    });

    scene.send({ type: "retryAgent" });
    scene.answer({
      type: "agentAsked",
      session: session("ses_1", { version: 3 }),
      connection: connection("token-2"),
    });

    expect(scene.find("openMedia").connection.token).toBe("token-2");
  });

  it("is no error when it has come meanwhile", () => {
    const scene = started();
    scene.answer(failed);
    scene.send({ type: "retryAgent" });

    scene.answer({ type: "agentRefused", failure: failure("conflict") });

    expect(scene.state.problem).toBeNull();
    expect(scene.state.isRetryingAgent).toBe(false);
  });

  it.each(["network", "timeout", "server", "busy"] as const)(
    "stays an error with Retry when asking again fails: %s",
    (kind) => {
      const scene = started();
      scene.answer(failed);
      scene.send({ type: "retryAgent" });

      scene.answer({ type: "agentRefused", failure: failure(kind) });

      expect(scene.state.problem?.kind).toBe(kind);
      expect(scene.send({ type: "retryAgent" })).toHaveLength(1);
    },
  );

  it("is found out by asking, should the server's word not arrive", () => {
    const scene = started();

    scene.answer({ type: "time", timer: "agent" });

    expect(scene.did).toEqual(["openUpdates"]);
  });

  it("brings sound back to a page that had none when another window retries", () => {
    const scene = new Scene();
    scene.send({ type: "start", key: "key-1" });
    scene.answer({
      type: "chatStarted",
      saved: null,
      session: session("ses_1", { status: "FAILED" }),
      connection: null,
    });

    scene.answer(active());

    expect(scene.did).toContain("join");
  });
});

describe("a reload", () => {
  it("joins the running session again and reads all of it", () => {
    const scene = new Scene();

    scene.send({ type: "attach", session: session("ses_1"), isTalking: true });

    expect(scene.find("openWords")).toMatchObject({ sessionId: "ses_1", after: null });
    expect(scene.find("join").sessionId).toBe("ses_1");
    expect(scene.did).toContain("openMicrophone");
    scene.answer({
      type: "joined",
      session: session("ses_1"),
      connection: connection("fresh"),
    });
    expect(scene.find("openMedia").connection.token).toBe("fresh");
  });

  it("only follows in a second window, which takes the sound when it is asked to", () => {
    const scene = new Scene();
    scene.send({ type: "attach", session: session("ses_1"), isTalking: false });
    expect(scene.did).not.toContain("join");
    expect(scene.did).not.toContain("openMicrophone");
    expect(pendingStep(scene.state)).toBe("follow");

    scene.send({ type: "talkHere" });

    expect(scene.did).toContain("join");
    expect(scene.did).toContain("openMicrophone");
  });
});
