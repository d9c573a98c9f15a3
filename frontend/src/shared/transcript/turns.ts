/** Groups utterances into turns: what one speaker says without a long pause is one turn. */
import type { Utterance } from "../../features/conversation/transcript.ts";

export interface Turn {
  /** In order; at least one. */
  readonly lines: readonly Utterance[];
  /** Whether any line is not final. */
  readonly isOpen: boolean;
}

/** An unchanged turn or page stays the same object. */
export interface Turns {
  readonly lines: readonly Utterance[];
  readonly turns: readonly Turn[];
  /** The turns by page, so that rendering one page compares no other. */
  readonly pages: readonly (readonly Turn[])[];
}

export const NO_TURNS: Turns = { lines: [], turns: [], pages: [] };

/** From the start of one utterance to that of the next. */
const LONGEST_PAUSE_MS = 60_000;
/** A longer monologue continues in a new turn with its own time. */
const MOST_LINES = 40;
const PAGE_TURNS = 40;

/** Whether a line continues the turn of the previous line. A typed line is always its own turn. */
function goesOn(before: Utterance, line: Utterance): boolean {
  if (before.role !== line.role) return false;
  if (before.source !== "SPEECH" || line.source !== "SPEECH") return false;
  return Date.parse(line.startedAt) - Date.parse(before.startedAt) <= LONGEST_PAUSE_MS;
}

/**
 * Groups lines into turns.
 *
 * @param before The result for the previous lines: only lines that differ are grouped again.
 */
export function turnsOf(lines: readonly Utterance[], before = NO_TURNS): Turns {
  if (lines === before.lines) return before;
  const kept = settled(lines, before);
  const turns = before.turns.slice(0, kept);
  const known = new Map(before.turns.slice(kept).map((turn) => [turn.lines[0], turn]));
  let from = turns.reduce((count, turn) => count + turn.lines.length, 0);
  while (from < lines.length) {
    const turn = turnAt(lines, from);
    const held = known.get(turn.lines[0]);
    turns.push(held && isSame(held.lines, turn.lines) ? held : turn);
    from += turn.lines.length;
  }
  return { lines, turns, pages: pagesOf(turns, before.pages) };
}

/** How many turns are unchanged: their lines are the same, and so is the line after them. */
function settled(lines: readonly Utterance[], before: Turns): number {
  let same = 0;
  while (same < lines.length && lines[same] === before.lines[same]) same++;
  let end = 0;
  const open = before.turns.findIndex((turn) => {
    end += turn.lines.length;
    return end >= same;
  });
  return Math.max(0, open);
}

function turnAt(lines: readonly Utterance[], from: number): Turn {
  let end = from + 1;
  const most = Math.min(lines.length, from + MOST_LINES);
  while (end < most && goesOn(lines[end - 1] as Utterance, lines[end] as Utterance)) end++;
  const own = lines.slice(from, end);
  return { lines: own, isOpen: own.some((line) => !line.isFinal) };
}

function pagesOf(turns: readonly Turn[], before: Turns["pages"]): Turns["pages"] {
  return Array.from({ length: Math.ceil(turns.length / PAGE_TURNS) }, (_, number) => {
    const page = turns.slice(number * PAGE_TURNS, (number + 1) * PAGE_TURNS);
    const held = before[number];
    return held && isSame(held, page) ? held : page;
  });
}

function isSame<T>(held: readonly T[], now: readonly T[]): boolean {
  return held.length === now.length && held.every((one, i) => one === now[i]);
}

/** The text of a turn for copying: the person's lines as sentences, the agent's as paragraphs. */
export function wordsOf({ lines }: Turn): string {
  return lines.map((line) => line.text).join(lines[0]?.role === "USER" ? " " : "\n\n");
}
