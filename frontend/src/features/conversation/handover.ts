/** The messages that this page uploads when a conversation is saved. */
import type { MessageInput } from "../../shared/api/generated/graphql.ts";
import type { Transcript, Unsent } from "./transcript.ts";

/** Most messages that the server accepts in one request. */
const MOST_MESSAGES = 10_000;
/** 8 MiB of UTF-8, less room for the rest of the request. */
const MOST_BYTES = 8 * 1024 * 1024 - 64 * 1024;

/**
 * Returns the messages to save: finals, interims and unsent lines.
 *
 * If they exceed a request's limits, leaves out messages that came from the server: a save that is
 * refused once would always be refused.
 */
export function messages(transcript: Transcript, pending: readonly Unsent[]): MessageInput[] {
  const shown = transcript.lines
    .filter((line) => line.text.trim() !== "")
    .map((line) => ({
      key: line.key,
      role: line.role,
      text: line.text,
      timestamp: line.startedAt,
      isFinal: line.isFinal,
    }));
  const held = new Set(shown.map((message) => message.key));
  const unsent = pending
    .filter((line) => !held.has(line.key))
    .map((line) => ({
      key: line.key,
      role: "USER" as const,
      text: line.text,
      timestamp: line.typedAt,
      isFinal: true,
    }));
  // All shown messages came from the server, so it has them, above all the finals.
  const open = shown.filter((message) => !message.isFinal);
  const some = without(shown, shown.length + unsent.length - MOST_MESSAGES);
  return (
    [
      [...some, ...unsent],
      [...open, ...unsent],
    ].find(fits) ?? unsent
  );
}

/** Leaves out `excess` messages: the oldest finals first, then interims. */
function without(shown: readonly MessageInput[], excess: number): readonly MessageInput[] {
  if (excess <= 0) return shown;
  const dispensable = [...shown].sort((a, b) => Number(b.isFinal) - Number(a.isFinal));
  const out = new Set(dispensable.slice(0, excess));
  return shown.filter((message) => !out.has(message));
}

function fits(messages: readonly MessageInput[]): boolean {
  const bytes = new TextEncoder().encode(JSON.stringify(messages)).length;
  return messages.length <= MOST_MESSAGES && bytes <= MOST_BYTES;
}
