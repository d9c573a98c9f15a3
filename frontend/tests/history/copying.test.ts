/** The text of a copied conversation: who said what, and when. */
import { describe, expect, it } from "vitest";
import { lengthOf } from "../../src/features/history/list/rename.tsx";
import { transcript } from "../../src/features/history/past/copying.ts";
import { clock, date } from "../../src/shared/ui/time.ts";
import { session, utterance } from "../scene.ts";

const FIRST = "2026-11-22T10:00:00.000000Z";
const NEXT = "2026-11-23T18:30:00.000000Z";

describe("a copied conversation", () => {
  it("has its name, its day, and every line with its time and speaker", () => {
    const lines = [
      utterance("a1", { text: "Is there\nany tea?", startedAt: FIRST }),
      utterance("a2", { role: "AGENT", text: "Yes, th", isInterrupted: true, startedAt: FIRST }),
      utterance("a3", { text: "שלום", isFinal: false, startedAt: FIRST }),
    ];

    const text = transcript(session("ses_1", { title: "Tea", createdAt: FIRST }), lines);

    const at = clock(FIRST);
    expect(text.split("\n")).toEqual([
      "Tea",
      date(FIRST),
      "",
      `[${at}] You: Is there`,
      "any tea?",
      `[${at}] Agent: Yes, th (interrupted)`,
      `[${at}] You: שלום (unfinished)`,
      "",
    ]);
  });

  it("names each day on which it went on", () => {
    const lines = [utterance("a1", { startedAt: FIRST }), utterance("a2", { startedAt: NEXT })];

    const text = transcript(session("ses_1", { createdAt: FIRST, preview: "First" }), lines);

    expect(text.split("\n")).toEqual([
      "First",
      date(FIRST),
      "",
      `[${clock(FIRST)}] You: words of a1`,
      "",
      date(NEXT),
      "",
      `[${clock(NEXT)}] You: words of a2`,
      "",
    ]);
  });
});

describe("the length of a title", () => {
  it("is counted as the server counts it, an emoji as a character", () => {
    expect(lengthOf("🙂".repeat(200))).toBe(200);
  });
});
