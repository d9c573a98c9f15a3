/** What this page hands to the server when a conversation is saved. */
import type { MessageInput } from "../../shared/api/generated/graphql.ts";
import type { Transcript, Unsent } from "./transcript.ts";

/** The most that the server takes in one request. */
const MOST_MESSAGES = 10_000;
/** Of 8 MiB of UTF-8, with room for the rest of the request. */
const MOST_BYTES = 8 * 1024 * 1024 - 64 * 1024;

/**
 * What is handed over when the conversation is saved: finals, interims, and lines still unsent.
 *
 * If that is more than a request may hold, what the server has said itself is left out: a save that
 * is refused would be refused for ever.
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
  // Each of those shown came from the server: it has them, first of all what is final.
  const open = shown.filter((message) => !message.isFinal);
  const some = without(shown, shown.length + unsent.length - MOST_MESSAGES);
  return (
    [
      [...some, ...unsent],
      [...open, ...unsent],
    ].find(fits) ?? unsent
  );
}

/** Leaves out as many as there are too many: the oldest finals, and only then interims. */
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
