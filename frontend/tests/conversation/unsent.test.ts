/** Unsent typed lines survive a reload, are said once, and belong to one person. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { UnsentLines } from "../../src/features/conversation/unsent.ts";
import { type Api, Failed } from "../../src/shared/api/client.ts";
import { FakeStorage } from "../equipment.ts";
import { connection, failure, Scene, saved, session, utterance } from "../scene.ts";

let storage: FakeStorage;
beforeEach(() => {
  storage = new FakeStorage();
  vi.stubGlobal("sessionStorage", storage);
});
afterEach(() => vi.unstubAllGlobals());

const AT = "2026-11-22T10:00:05Z";
const LINE = { key: "t1", text: "hello", typedAt: AT, isTried: true };

const RUNNING = session("ses_1", { status: "ACTIVE", agentState: "LISTENING", version: 2 });

/** A conversation with one typed line, and the store that keeps it until it is sent. */
function typed(): { scene: Scene; lines: UnsentLines } {
  const lines = new UnsentLines();
  lines.belongTo("usr_1");
  const scene = new Scene().talking();
  scene.send({ type: "say", key: "t1", text: "hello", at: AT });
  lines.follow(scene.state);
  return { scene, lines };
}

function reloaded(owner = "usr_1"): UnsentLines {
  const lines = new UnsentLines();
  lines.belongTo(owner);
  return lines;
}

function joinedAgain(lines: UnsentLines): Scene {
  const scene = new Scene();
  const unsent = lines.of("ses_1");
  scene.send({ type: "attach", session: RUNNING, isTalking: true, unsent });
  return scene;
}

describe("a typed line that could not be sent", () => {
  it("is there after a reload, and goes by itself then, under its own key", () => {
    const { scene, lines } = typed();
    scene.answer({ type: "notSaid", key: "t1", failure: failure("network") });
    lines.follow(scene.state);

    const again = joinedAgain(reloaded());

    expect(again.state.pending).toEqual([{ ...LINE, isSending: false, problem: null }]);
    again.answer({ type: "joined", session: RUNNING, connection: connection("token-2") });
    again.answer({ type: "mediaConnected" });
    expect(again.did).toEqual([]);
    again.hear([]);
    expect(again.find("send")).toMatchObject({ sessionId: "ses_1", key: "t1", text: "hello" });
  });

  it("is kept from the moment it leaves the field, in its own conversation only", () => {
    typed();

    expect(reloaded().of("ses_1")).toEqual([LINE]);
    expect(reloaded().of("ses_2")).toEqual([]);
  });

  it("that got through after all takes its place with the past, and leaves no trace", () => {
    typed();
    const lines = reloaded();
    const scene = joinedAgain(lines);

    scene.hear([utterance("t1", { source: "TYPED", text: "hello" })]);
    lines.follow(scene.state);

    expect(scene.state.pending).toEqual([]);
    expect(scene.texts).toEqual(["hello"]);
    expect(storage.items.size).toBe(0);
  });

  it("keeps whether it may have arrived, so that it can be taken back only before", () => {
    const lines = new UnsentLines();
    lines.belongTo("usr_1");
    const scene = new Scene().talking();
    scene.send({ type: "offline" });
    scene.send({ type: "say", key: "t1", text: "hello", at: AT });
    lines.follow(scene.state);
    expect(reloaded().of("ses_1")).toEqual([{ ...LINE, isTried: false }]);

    scene.send({ type: "online" });
    lines.follow(scene.state);

    expect(reloaded().of("ses_1")).toEqual([LINE]);
  });

  it("leaves no trace once it is taken back", () => {
    const lines = new UnsentLines();
    lines.belongTo("usr_1");
    const scene = new Scene().talking();
    scene.send({ type: "offline" });
    scene.send({ type: "say", key: "t1", text: "hello", at: AT });
    lines.follow(scene.state);

    scene.send({ type: "takeBack", key: "t1" });
    lines.follow(scene.state);

    expect(storage.items.size).toBe(0);
  });

  it("leaves no trace once it is said", () => {
    const { scene, lines } = typed();

    scene.answer({ type: "said", key: "t1", utterance: utterance("t1", { text: "hello" }) });
    lines.follow(scene.state);

    expect(storage.items.size).toBe(0);
  });

  it("is handed over after a reload too when the conversation is saved, and dropped then", () => {
    typed();
    const lines = reloaded();
    const scene = joinedAgain(lines).connected("ses_1");

    scene.send({ type: "end", key: "key-2" });
    const { messages } = scene.find("saveSession").previous;
    expect(messages.map(({ key, text }) => [key, text])).toEqual([["t1", "hello"]]);
    lines.follow(scene.state);
    scene.answer({ type: "chatSaved", saved: saved("ses_1") });
    lines.drop(scene.find("tellSaved").saved.session.id);
    lines.follow(scene.state);

    expect(storage.items.size).toBe(0);
  });

  it("stays kept while the page looks at another conversation", () => {
    const { scene, lines } = typed();

    scene.send({ type: "attach", session: session("ses_2"), isTalking: false });
    lines.follow(scene.state);

    expect(lines.of("ses_1")).toEqual([LINE]);
    expect(lines.of("ses_2")).toEqual([]);
  });

  it("goes with the conversation when that is deleted", () => {
    const { scene, lines } = typed();

    scene.answer({ type: "update", session: null, isDeleted: true, end: null });
    lines.follow(scene.state);

    expect(storage.items.size).toBe(0);
  });

  it("is nobody else's", () => {
    typed();

    expect(reloaded("usr_2").of("ses_1")).toEqual([]);
    expect(storage.items.size).toBe(0);
  });

  it("is not in the browser while nobody is signed in, also if it fails only then", () => {
    const { scene, lines } = typed();

    lines.hide();
    scene.answer({ type: "notSaid", key: "t1", failure: failure("signed-out") });
    lines.follow(scene.state);
    expect(storage.items.size).toBe(0);
    lines.belongTo("usr_1");

    expect(reloaded().of("ses_1")).toEqual([LINE]);
  });

  it("is forgotten with everything else by signing out", () => {
    const { scene, lines } = typed();

    lines.clear();
    scene.send({ type: "leave" });
    lines.follow(scene.state);

    expect(lines.of("ses_1")).toEqual([]);
    expect(storage.items.size).toBe(0);
  });

  it.each([
    "7",
    '[{"key": "t1"}]',
    '[{"key": "t1", "text": "hello", "typedAt": "2026-11-22T10:00:05Z"}]',
    "[null]",
    '"hello"',
  ])("of another form is none: %s", (kept) => {
    const all = `{"owner": "usr_1", "texts": {"ses_1": ${kept}}}`;
    storage.items.set("voxql.unsent", all);

    expect(reloaded().of("ses_1")).toEqual([]);
  });
});

describe("a conversation that is over meanwhile", () => {
  const api = (mutate: () => Promise<unknown>) => ({ mutate: vi.fn(mutate) }) as unknown as Api;

  it("gets the line put into it, under its key", async () => {
    typed();
    const lines = reloaded();
    const server = api(async () => ({}));

    expect(await lines.handIn(server, "ses_1")).toBe(true);

    const message = { key: "t1", role: "USER", text: "hello", timestamp: AT, isFinal: true };
    const input = { sessionId: "ses_1", messages: [message] };
    expect(server.mutate).toHaveBeenCalledExactlyOnceWith(expect.anything(), { input });
    expect(storage.items.size).toBe(0);
    expect(await lines.handIn(server, "ses_1")).toBe(false);
  });

  it("leaves the line where it is while that can't be done", async () => {
    typed();
    const lines = reloaded();
    const server = api(async () => {
      throw new Failed(failure("network"));
    });

    await expect(lines.handIn(server, "ses_1")).rejects.toThrow(Failed);

    expect(reloaded().of("ses_1")).toEqual([LINE]);
  });
});
