/** What an agent said: plain text, or formatted once there is something to format. */
import { createElement } from "react";

import { later } from "../app/later.ts";

interface Props {
  text: string;
  /** Whether it ends where it was meant to end. */
  isWhole: boolean;
}

/** What Markdown can't do without; most answers have none of it, and need nothing fetched. */
const MARKS = /[*_`~#>|<[\]\\]|^[ \t]*(?:[-+]|\d+[.)])[ \t]|^[-=]+$|https?:|www\.|\w@\w|&#?\w+;/im;

const Markdown = later<Props>(
  () => import("./markdown.tsx"),
  (_, { text }) => asItIs(text),
);

const asItIs = (text: string) => createElement("p", { className: "line-text" }, text);

export function Answer({ text, isWhole }: Props) {
  return MARKS.test(text) ? <Markdown text={text} isWhole={isWhole} /> : asItIs(text);
}

/** The words of an answer without their marks, for who hears the page. */
export async function announced(text: string): Promise<string> {
  if (!MARKS.test(text)) return text;
  try {
    return (await import("./markdown.tsx")).plain(text);
  } catch {
    return text;
  }
}
