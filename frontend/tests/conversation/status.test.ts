/** The page's status, which never says that it listens to a person who is not heard. */
import { describe, expect, it } from "vitest";
import {
  invitation,
  nothingYet,
  status,
  stillTalking,
} from "../../src/features/conversation/messages.ts";
import type { MicrophoneProblem, Session } from "../../src/features/conversation/state.ts";
import { isHeard } from "../../src/features/conversation/state.ts";
import { connection, failure, Scene, session } from "../scene.ts";

const happens = {
  "nothing else": () => {},
  "the microphone is opened": (scene) => asked(scene, false),
  "the browser asks for the microphone": (scene) => {
    asked(scene, false);
    asked(scene, true);
  },
  "it is allowed": (scene) => void scene.send({ type: "microphoneOn" }),
  "it is refused": (scene) => fails(scene, "denied"),
  "there is none": (scene) => fails(scene, "missing"),
  "it is unplugged": (scene) => fails(scene, "unplugged"),
  "it is muted": (scene) => void scene.send({ type: "mute", isMuted: true }),
  "the agent is here": (scene) => agentIs(scene, "LISTENING"),
  "the agent starts": (scene) => agentIs(scene, "INITIALIZING"),
  "the agent thinks": (scene) => agentIs(scene, "THINKING"),
  "the agent speaks": (scene) => agentIs(scene, "SPEAKING"),
  "the agent goes": (scene) => agentIs(scene, null),
  "no agent comes": (scene) => is(scene, { status: "FAILED", agentState: null }),
  "the network goes": (scene) => void scene.send({ type: "offline" }),
  "the network comes": (scene) => void scene.send({ type: "online" }),
  "the words break": (scene) => void scene.answer({ type: "wordsLost", failure: null }),
  "the sound breaks": (scene) =>
    void scene.answer({ type: "mediaLost", code: 1006, isTerminal: false }),
  "another window talks": (scene) =>
    void scene.answer({ type: "mediaLost", code: 4409, isTerminal: true }),
  "the sound is refused": (scene) =>
    void scene.answer({ type: "mediaLost", code: 4400, isTerminal: true }),
  "New chat is clicked": (scene) => void scene.send({ type: "newChat", key: "key-2" }),
  "it can't be saved": (scene) =>
    void scene.answer({ type: "requestFailed", failure: failure("server") }),
  "it ends": (scene) => is(scene, { status: "ENDED", agentState: null, endReason: "SAVED" }),
} satisfies Record<string, (scene: Scene) => void>;

type Happening = keyof typeof happens;

function asked(scene: Scene, isPrompting: boolean): void {
  scene.send({ type: "microphoneAsked", isPrompting });
}

function fails(scene: Scene, problem: MicrophoneProblem): void {
  scene.send({ type: "microphoneFailed", problem });
}

let version = 2;
function is(scene: Scene, changes: Partial<Session>): void {
  scene.update({ version: ++version, ...changes });
}

function agentIs(scene: Scene, agentState: Session["agentState"]): void {
  is(scene, { status: "ACTIVE", agentState });
}

/** A conversation just started: transcript and sound are there, the microphone is not. */
function started(): Scene {
  const scene = new Scene();
  scene.send({ type: "start", key: "key-1" });
  scene.answer({
    type: "chatStarted",
    saved: null,
    session: session("ses_1"),
    connection: connection("token-1"),
  });
  scene.answer({ type: "mediaConnected" });
  scene.hear([]);
  return scene;
}

const ALLOW = "Allow the microphone…";
const OFFLINE = "Offline, reconnecting…";

describe("the status", () => {
  it.each<[says: string, isHeard: boolean, after: Happening[]]>([
    ["Waiting for the agent…", false, ["nothing else"]],
    ["Waiting for the agent…", false, ["it is allowed"]],
    ["Getting ready…", true, ["it is allowed", "the agent starts"]],
    // Until the person answers the browser's prompt, they are not heard, whatever else happens.
    [ALLOW, false, ["the browser asks for the microphone"]],
    [ALLOW, false, ["the browser asks for the microphone", "the agent is here"]],
    [ALLOW, false, ["the browser asks for the microphone", "the agent speaks"]],
    [ALLOW, false, ["the browser asks for the microphone", "the sound breaks"]],
    [ALLOW, false, ["the browser asks for the microphone", "no agent comes"]],
    [
      "Listening",
      true,
      ["the browser asks for the microphone", "the agent is here", "it is allowed"],
    ],
    ["Listening", true, ["it is allowed", "the agent is here"]],
    // Permission was given earlier: no prompt, but opening takes a moment.
    ["Getting ready…", false, ["the agent is here", "the microphone is opened"]],
    // This happens when another microphone is chosen.
    [ALLOW, false, ["it is allowed", "the agent is here", "the browser asks for the microphone"]],
    ["Microphone off", false, ["it is refused", "the agent is here"]],
    [
      "Microphone off",
      false,
      ["the browser asks for the microphone", "the agent is here", "it is refused"],
    ],
    ["Microphone off", false, ["there is none", "the agent is here"]],
    ["Microphone off", false, ["it is allowed", "the agent is here", "it is unplugged"]],
    ["Muted", false, ["it is allowed", "it is muted", "the agent is here"]],
    ["Microphone off", false, ["it is muted", "it is refused", "the agent is here"]],
    ["Thinking", true, ["it is allowed", "the agent thinks"]],
    ["Speaking", true, ["it is allowed", "the agent speaks"]],
    ["Speaking", false, ["it is allowed", "it is muted", "the agent speaks"]],
    ["Speaking", false, ["it is refused", "the agent speaks"]],
    ["Waiting for the agent…", false, ["it is allowed", "the agent is here", "the agent goes"]],
    ["Agent unavailable", false, ["it is allowed", "no agent comes"]],
    [OFFLINE, false, ["it is allowed", "the agent is here", "the network goes"]],
    [OFFLINE, false, ["it is allowed", "the agent speaks", "the network goes"]],
    [OFFLINE, false, ["it is allowed", "the agent is here", "it is muted", "the network goes"]],
    [OFFLINE, false, ["the browser asks for the microphone", "the network goes"]],
    [
      OFFLINE,
      false,
      ["it is allowed", "the agent is here", "New chat is clicked", "the network goes"],
    ],
    [OFFLINE, false, ["it is allowed", "the network goes", "the words break", "the agent speaks"]],
    [
      "Listening",
      true,
      ["it is allowed", "the agent is here", "the network goes", "the network comes"],
    ],
    ["Reconnecting…", true, ["it is allowed", "the agent is here", "the words break"]],
    [
      "Reconnecting…",
      false,
      [
        "it is allowed",
        "the agent is here",
        "the network goes",
        "the words break",
        "the sound breaks",
        "the network comes",
      ],
    ],
    ["Reconnecting…", false, ["it is allowed", "the agent is here", "the sound breaks"]],
    ["No sound", false, ["it is allowed", "the agent is here", "the sound is refused"]],
    ["Following along", false, ["it is allowed", "the agent is here", "another window talks"]],
    ["Saving…", false, ["it is allowed", "the agent is here", "New chat is clicked"]],
    [
      "Listening",
      true,
      ["it is allowed", "the agent is here", "New chat is clicked", "it can't be saved"],
    ],
    ["Saved", false, ["it is allowed", "the agent is here", "it ends"]],
    ["Saved", false, ["it is allowed", "the agent is here", "it ends", "the network goes"]],
  ])("is “%s” (heard: %s) after %j", (says, is, after) => {
    const scene = started();

    for (const what of after) happens[what](scene);

    expect(status(scene.state).text).toBe(says);
    expect(isHeard(scene.state)).toBe(is);
  });

  it("says that it listens only to somebody who is heard, whatever happens", () => {
    const all = Object.keys(happens) as Happening[];
    let listening = 0;
    for (const first of all)
      for (const second of all)
        for (const third of all) {
          const scene = new Scene().talking();
          for (const what of [first, second, third]) happens[what](scene);
          const isListening = status(scene.state).tone === "listening";
          if (isListening) listening++;
          expect(isListening && !isHeard(scene.state), `${first}, ${second}, ${third}`).toBe(false);
        }
    expect(listening).toBeGreaterThan(100);
  });

  it("is off line only where a conversation goes on", () => {
    const scene = new Scene();
    scene.send({ type: "offline" });

    expect(status(scene.state).text).toBe("Not started");
    scene.send({ type: "start", key: "key-1" });
    expect(status(scene.state).text).toBe("Starting…");
  });

  it("knows the network still in the next conversation", () => {
    const scene = new Scene().talking();
    scene.send({ type: "offline" });

    scene.send({ type: "attach", session: session("ses_2"), isTalking: true });

    expect(status(scene.state).text).toBe(OFFLINE);
  });

  it("is the same on other pages, and in the field", () => {
    const scene = new Scene().talking();
    scene.send({ type: "offline" });

    expect(stillTalking(scene.state)).toBe("Your conversation is still active.");
    expect(invitation(scene.state)).toBe("Type here meanwhile");
    expect(nothingYet(scene.state).what).toBe("You're offline");
  });

  it("is explained where the words will be, while the browser asks", () => {
    const scene = started();

    happens["the browser asks for the microphone"](scene);

    expect(nothingYet(scene.state).what).toBe("Allow your microphone");
    scene.send({ type: "microphoneOn" });
    expect(nothingYet(scene.state).what).toBe("Almost there");
  });

  it("invites nobody to speak who is muted", () => {
    const scene = new Scene().talking();
    expect(invitation(scene.state)).toBe("Speak or type here");

    scene.send({ type: "mute", isMuted: true });

    expect(invitation(scene.state)).toBe("Type here");
  });

  it("takes no prompt for open that was answered before it was told", () => {
    const scene = new Scene().talking();

    for (const settle of [
      { type: "microphoneOn" },
      { type: "microphoneFailed", problem: "denied" },
    ] as const) {
      scene.send(settle);
      const before = scene.state;
      asked(scene, true);
      expect(scene.state).toBe(before);
    }
  });
});
