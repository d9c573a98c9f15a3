/** New Chat and End in the middle of a sentence: it comes to its end first. */
import { describe, expect, it } from "vitest";
import { status } from "../../src/features/conversation/messages.ts";
import { hearing } from "../../src/features/conversation/state.ts";
import { Scene, utterance } from "../scene.ts";

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
