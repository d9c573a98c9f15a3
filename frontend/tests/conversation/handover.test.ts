/** What a save hands over, even if the conversation is too long for one request. */
import { describe, expect, it } from "vitest";

import { messages } from "../../src/features/conversation/handover.ts";
import {
  NOTHING_SAID,
  type Unsent,
  type Utterance,
} from "../../src/features/conversation/transcript.ts";
import { Scene, saved, utterance } from "../scene.ts";

const LIMIT = 8 * 1024 * 1024;
const PENDING: Unsent = {
  key: "t1",
  text: "typed",
  typedAt: "2026-11-22T10:00:05Z",
  isTried: true,
};
const held = (lines: Utterance[]) => ({ ...NOTHING_SAID, lines });
const keys = (lines: Utterance[], pending = [PENDING]) =>
  messages(held(lines), pending).map(({ key }) => key);

/** `count` finals of 32 KiB each, then one interim. */
function long(count: number, letter = "a"): Utterance[] {
  const text = letter.repeat((32 * 1024) / new TextEncoder().encode(letter).length);
  const finals = Array.from({ length: count }, (_, i) => utterance(`a${i}`, { text }));
  return [...finals, utterance(`i${count}`, { isFinal: false })];
}

describe("what is handed over", () => {
  it.each(["a", "ö", "語"])("is everything while it fits into a request: %s", (letter) => {
    const given = messages(held(long(252, letter)), [PENDING]);

    expect(given).toHaveLength(254);
    expect(new TextEncoder().encode(JSON.stringify(given)).length).toBeLessThan(LIMIT);
  });

  it.each(["a", "ö", "語", "\n"])(
    "leaves out what the server itself has said for good when that does not fit: %j",
    (letter) => {
      expect(keys(long(256, letter))).toEqual(["i256", "t1"]);
    },
  );

  it("leaves out the oldest of it where there are too many lines", () => {
    const lines = Array.from({ length: 9_999 }, (_, i) => utterance(`a${i}`));

    expect(keys(lines)).toHaveLength(10_000);
    const first = utterance("i0", { isFinal: false });
    expect(keys([first, ...lines]).slice(0, 2)).toEqual(["i0", "a1"]);
    expect(keys([first, ...lines])).toHaveLength(10_000);
  });

  it("never leaves out what only this page knows", () => {
    const interims = long(300).map((line) => ({ ...line, isFinal: false }));

    expect(keys(interims)).toEqual(["t1"]);
  });
});

describe("a very long conversation", () => {
  it("is saved, and its late words are handed in after it", () => {
    const scene = new Scene().talking();
    scene.send({ type: "mute", isMuted: true });
    scene.hear(long(300));
    scene.send({ type: "end", key: "key-2" });
    expect(scene.find("saveSession").previous.messages.map(({ key }) => key)).toEqual(["i300"]);
    scene.hear([utterance("i300", { revision: 2 })]);
    scene.hear([utterance("i301", { isFinal: false })]);

    scene.answer({ type: "chatSaved", saved: saved("ses_1") });

    const late = scene.find("saveMore").previous.messages;
    expect(late.map(({ key }) => key)).toEqual(["i301"]);
  });
});
