/** What was said, as far as this page knows: one line for each utterance, in its final place. */
import type { UtteranceFieldsFragment } from "../../shared/api/generated/graphql.ts";

export type Utterance = UtteranceFieldsFragment;

export interface Transcript {
  /** In the order of the conversation; a line that did not change stays the same object. */
  readonly lines: readonly Utterance[];
  /** Where to go on after a cut; null before the first event. */
  readonly cursor: string | null;
  /** Whether everything of the past is here. */
  readonly isCaughtUp: boolean;
}

export const NOTHING_SAID: Transcript = { lines: [], cursor: null, isCaughtUp: false };

export interface TranscriptEvent {
  cursor: string;
  isCaughtUp: boolean;
  utterances: readonly Utterance[];
}

/** Takes an event of the stream, which may be repeated or late. */
export function take(transcript: Transcript, event: TranscriptEvent): Transcript {
  return {
    lines: withAll(transcript.lines, event.utterances),
    cursor: event.cursor,
    isCaughtUp: transcript.isCaughtUp || event.isCaughtUp,
  };
}

/** Takes one utterance that came as an answer rather than on the stream. */
export function takeOne(transcript: Transcript, utterance: Utterance): Transcript {
  return { ...transcript, lines: withAll(transcript.lines, [utterance]) };
}

/** The rule: an utterance is taken if its revision is higher than the one that is held. */
function withAll(
  lines: readonly Utterance[],
  utterances: readonly Utterance[],
): readonly Utterance[] {
  let result: Utterance[] | null = null;
  const append: Utterance[] = [];
  for (const utterance of utterances) {
    const now = result ?? lines;
    // What changes is nearly always near the end.
    const index = now.findLastIndex((held) => held.id === utterance.id);
    if (index < 0) {
      const waiting = append.findIndex((held) => held.id === utterance.id);
      if (waiting < 0) append.push(utterance);
      else if (utterance.revision > (append[waiting] as Utterance).revision)
        append[waiting] = utterance;
      continue;
    }
    if (utterance.revision <= (now[index] as Utterance).revision) continue;
    result ??= [...lines];
    result[index] = utterance;
  }
  if (append.length === 0) return result ?? lines;
  const merged = [...(result ?? lines), ...append];
  return isOrdered(merged) ? merged : merged.sort(byPlace);
}

function byPlace(a: Utterance, b: Utterance): number {
  // By code units, as the server compares: a locale's order is another.
  return a.sortKey < b.sortKey ? -1 : 1;
}

function isOrdered(lines: readonly Utterance[]): boolean {
  return lines.every((line, i) => i === 0 || byPlace(lines[i - 1] as Utterance, line) <= 0);
}

/** Lines by their id, with the revision that each of them had. */
export type Revisions = ReadonlyMap<string, number>;

/** What is not final: all of it stays as it is when nobody is there any more to go on with it. */
export function unfinished(transcript: Transcript): Revisions {
  const open = transcript.lines.filter((line) => !line.isFinal);
  return new Map(open.map((line) => [line.id, line.revision]));
}

/** What is not final, though its speaker has said something else since. */
export function passedOver(transcript: Transcript): Revisions {
  const last = new Map(transcript.lines.map((line) => [line.role, line.id]));
  const open = transcript.lines.filter((line) => !line.isFinal && last.get(line.role) !== line.id);
  return new Map(open.map((line) => [line.id, line.revision]));
}

/** A typed line, as it is kept until the server has confirmed it. */
export interface Unsent {
  readonly key: string;
  readonly text: string;
  readonly typedAt: string;
  /** It was sent, and may have arrived. */
  readonly isTried: boolean;
}

/** A typed line that the server has not confirmed yet: it waits, is on its way, or was refused. */
export interface Pending extends Unsent {
  readonly isSending: boolean;
  /** Why it was refused. */
  readonly problem: string | null;
}

export function isWaiting({ isSending, problem }: Pending): boolean {
  return !isSending && problem === null;
}

/** Bytes of UTF-8 in one line, at most; the server refuses more. */
const MOST_BYTES = 32 * 1024;

/** Whether a typed line is more than the server takes at once. */
export function isTooLong(text: string): boolean {
  // A UTF-16 unit is three bytes at most: what is typed by hand need not be counted.
  return text.length * 3 > MOST_BYTES && new TextEncoder().encode(text).length > MOST_BYTES;
}
