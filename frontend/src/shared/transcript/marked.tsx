/** What the server found, with the searched words marked. */
import { marked } from "./snippet.ts";

/** @param text What is shown if the snippet is not of it: it has changed since the search. */
export function Marked({ html, text }: { html: string; text?: string }) {
  const parts = marked(html);
  if (text !== undefined && parts.join("") !== text) return text;
  return parts.map((part, index) => (index % 2 ? <mark key={index}>{part}</mark> : part));
}
