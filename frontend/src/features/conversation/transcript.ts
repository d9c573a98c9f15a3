/** What was said, as far as this page knows: one line per utterance, in its final place. */
import type { UtteranceFieldsFragment } from "../../shared/api/generated/graphql.ts";

export type Utterance = UtteranceFieldsFragment;

export interface Transcript {
  /** In the order of the conversation; an unchanged line stays the same object. */
  readonly lines: readonly Utterance[];
  /** Where to resume the stream; null before the first event. */
  readonly cursor: string | null;
  /** Whether the whole past has arrived. */
  readonly isCaughtUp: boolean;
}

export const NOTHING_SAID: Transcript = { lines: [], cursor: null, isCaughtUp: false };

export interface TranscriptEvent {
  cursor: string;
  isCaughtUp: boolean;
  utterances: readonly Utterance[];
}

/** Applies a stream event, which may be repeated or late. */
export function take(transcript: Transcript, event: TranscriptEvent): Transcript {
  return {
    lines: withAll(transcript.lines, event.utterances),
    cursor: event.cursor,
    isCaughtUp: transcript.isCaughtUp || event.isCaughtUp,
  };
}

/** Applies an utterance that came as an answer rather than on the stream. */
export function takeOne(transcript: Transcript, utterance: Utterance): Transcript {
  return { ...transcript, lines: withAll(transcript.lines, [utterance]) };
}

/** Adds new utterances and replaces those with a lower revision. */
function withAll(
  lines: readonly Utterance[],
  utterances: readonly Utterance[],
): readonly Utterance[] {
  let result: Utterance[] | null = null;
  const append: Utterance[] = [];
  for (const utterance of utterances) {
    const now = result ?? lines;
    // Changes are nearly always near the end.
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
  // By code units, like the server; a locale's order differs.
  return a.sortKey < b.sortKey ? -1 : 1;
}

function isOrdered(lines: readonly Utterance[]): boolean {
  return lines.every((line, i) => i === 0 || byPlace(lines[i - 1] as Utterance, line) <= 0);
}

/** Revisions by line id. */
export type Revisions = ReadonlyMap<string, number>;

/** Lines that are not final: they stay as they are once their agent is gone. */
export function unfinished(transcript: Transcript): Revisions {
  const open = transcript.lines.filter((line) => !line.isFinal);
  return new Map(open.map((line) => [line.id, line.revision]));
}

/** Lines that are not final although their speaker has said something else since. */
export function passedOver(transcript: Transcript): Revisions {
  const last = new Map(transcript.lines.map((line) => [line.role, line.id]));
  const open = transcript.lines.filter((line) => !line.isFinal && last.get(line.role) !== line.id);
  return new Map(open.map((line) => [line.id, line.revision]));
}

/** A typed line, kept until the server confirms it. */
export interface Unsent {
  readonly key: string;
  readonly text: string;
  readonly typedAt: string;
  /** It was sent and may have arrived. */
  readonly isTried: boolean;
}

/** An unconfirmed typed line: waiting, being sent, or refused. */
export interface Pending extends Unsent {
  readonly isSending: boolean;
  /** Why it was refused. */
  readonly problem: string | null;
}

export function isWaiting({ isSending, problem }: Pending): boolean {
  return !isSending && problem === null;
}

/** The server's limit for a line, in bytes of UTF-8. */
const MOST_BYTES = 32 * 1024;

/** Whether a typed line exceeds the server's limit. */
export function isTooLong(text: string): boolean {
  // A UTF-16 unit is at most three bytes, so text of usual length need not be encoded.
  return text.length * 3 > MOST_BYTES && new TextEncoder().encode(text).length > MOST_BYTES;
}
