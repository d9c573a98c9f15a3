/** Which utterances form one turn, and how little is rendered again when one grows. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it, vi } from "vitest";

import type { Utterance } from "../../src/features/conversation/transcript.ts";
import { asked, Page } from "../../src/shared/transcript/turn.tsx";
import { NO_TURNS, turnsOf, wordsOf } from "../../src/shared/transcript/turns.ts";
import { utterance } from "../scene.ts";

// The real hook works only in the running app.
vi.mock("../../src/app/context.ts", () => ({ useApp: () => ({ toasts: { tell() {} } }) }));

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 10) + second * 1000).toISOString();
/** The utterance with key `u<number>`, said at this second. */
const said = (number: number, second: number, changes: Partial<Utterance> = {}) =>
  utterance(`u${number}`, { startedAt: at(second), ...changes });
const keys = (lines: readonly Utterance[]) =>
  turnsOf(lines).turns.map((turn) => turn.lines.map((line) => line.key).join(" "));
/** Alternates two sentences of the person with one answer. */
const conversation = (count: number) =>
  Array.from({ length: count }, (_, i) => said(i, i * 4, { role: i % 3 === 2 ? "AGENT" : "USER" }));

describe("a turn", () => {
  it("is what the same speaker says without a long pause", () => {
    expect(
      keys([
        said(1, 0),
        said(2, 5),
        said(3, 9, { role: "AGENT" }),
        said(4, 12, { role: "AGENT" }),
        said(5, 15),
        said(6, 75),
        said(7, 135.1),
      ]),
    ).toEqual(["u1 u2", "u3 u4", "u5 u6", "u7"]);
  });

  it("is alone if it was typed, or if only a client has told of it", () => {
    const typed = { source: "TYPED" } as const;
    const told = { source: "CLIENT_REPORTED" } as const;

    expect(
      keys([said(1, 0), said(2, 1, typed), said(3, 2, typed), said(4, 3), said(5, 4, told)]),
    ).toEqual(["u1", "u2", "u3", "u4", "u5"]);
  });

  it("ends after 40 lines of who talks on and on", () => {
    const lines = Array.from({ length: 90 }, (_, i) => said(i, i));

    expect(turnsOf(lines).turns.map((turn) => turn.lines.length)).toEqual([40, 40, 10]);
  });

  it("is copied whole: sentences of the person, paragraphs of the agent", () => {
    const agent = { role: "AGENT" } as const;
    const { turns } = turnsOf([said(1, 0), said(2, 1), said(3, 2, agent), said(4, 3, agent)]);

    expect(turns.map(wordsOf)).toEqual(["words of u1 words of u2", "words of u3\n\nwords of u4"]);
  });
});

describe("turns that were made before", () => {
  it("stay the same objects, but for the one that grows", () => {
    const lines = conversation(1000);
    const before = turnsOf(lines);
    const last = lines.at(-1) as Utterance;
    const grown = turnsOf([...lines.slice(0, -1), { ...last, revision: 2 }], before);

    expect(grown.turns).toHaveLength(before.turns.length);
    expect(grown.turns.filter((turn, i) => turn !== before.turns[i])).toHaveLength(1);
    expect(grown.pages.filter((page, i) => page !== before.pages[i])).toHaveLength(1);
  });

  it.each([
    ["a line comes at the end", (lines: Utterance[]) => [...lines, said(900, 601)]],
    ["the last line goes on with its turn", (lines: Utterance[]) => [...lines, said(900, 237)]],
    [
      "a late line is put between two",
      (lines: Utterance[]) => lines.toSpliced(30, 0, said(900, 119)),
    ],
    ["the first line is revised", (lines: Utterance[]) => lines.with(0, said(0, 1))],
    [
      "a line is somebody else's after all",
      (lines: Utterance[]) => lines.with(1, said(1, 4, { role: "AGENT" })),
    ],
    ["lines are gone", (lines: Utterance[]) => lines.slice(0, 17)],
    ["all are gone", () => []],
    ["others are shown", () => conversation(12)],
  ])("make no difference to the result when %s", (_, change) => {
    const lines = conversation(60);
    const now = change(lines);

    expect(turnsOf(now, turnsOf(lines))).toEqual(turnsOf(now));
  });

  it("make a conversation of 10,000 lines cheap, ten times a second", () => {
    const lines = conversation(10_000);
    let turns = turnsOf(lines);
    const took = Array.from({ length: 50 }, (_, i) => {
      const grown = lines.with(-1, { ...(lines.at(-1) as Utterance), revision: 2 + i });
      const begin = performance.now();
      turns = turnsOf(grown, turns);
      return performance.now() - begin;
    });

    // Take the fastest: other programs can only slow it down.
    expect(Math.min(...took)).toBeLessThan(4);
  });

  it("ask about lines that may grow only where there are some", () => {
    const isSpoken = vi.fn(() => true);
    const { pages } = turnsOf(conversation(1000));
    const open = turnsOf([said(1, 0, { isFinal: false })]).pages[0] ?? [];

    for (const page of pages) asked(page, isSpoken)(said(1, 0));
    expect(isSpoken).not.toHaveBeenCalled();
    expect(asked(open, isSpoken)).toBe(isSpoken);
  });
});

describe("a turn on the page", () => {
  const drawn = (lines: readonly Utterance[], isSpoken = (line: Utterance) => !line.isFinal) =>
    turnsOf(lines, NO_TURNS)
      .pages.map((turns) => renderToStaticMarkup(createElement(Page, { turns, isSpoken })))
      .join("");
  const count = (html: string, piece: string) => html.split(piece).length - 1;

  it("keeps its utterances apart, and says the time and who speaks once", () => {
    const html = drawn([said(1, 0), said(2, 5), said(3, 9, { role: "AGENT" })]);

    expect(count(html, 'class="turn"')).toBe(2);
    expect(count(html, "<time")).toBe(2);
    expect(count(html, 'aria-label="Copy"')).toBe(2);
    expect(html.match(/data-key="\w+"/g)).toEqual([
      'data-key="u1"',
      'data-key="u2"',
      'data-key="u3"',
    ]);
    expect(html.match(/turn-who"[^>]*>\w+/g)?.map((who) => who.split(">")[1])).toEqual([
      "You",
      "Agent",
    ]);
  });

  it("says which of its lines grows, and is copied when none does", () => {
    const lines = [said(1, 0), said(2, 5, { isFinal: false })];

    expect(drawn(lines).match(/data-grows="\w+"/g)).toEqual([
      'data-grows="false"',
      'data-grows="true"',
    ]);
    expect(drawn(lines)).not.toContain('aria-label="Copy"');
    expect(drawn(lines, () => false)).toContain("unfinished");
    expect(drawn(lines, () => false)).toContain('aria-label="Copy"');
  });
});
