/** A search result with the searched words marked. */
import { marked } from "./snippet.ts";

/** @param text The current text, shown instead if it has changed since the search. */
export function Marked({ html, text }: { html: string; text?: string }) {
  const parts = marked(html);
  if (text !== undefined && parts.join("") !== text) return text;
  return parts.map((part, index) => (index % 2 ? <mark key={index}>{part}</mark> : part));
}
