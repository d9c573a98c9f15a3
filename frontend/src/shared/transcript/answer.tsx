/** What an agent said: plain text, or formatted once there is something to format. */
import { createElement } from "react";

import { later } from "../store/lazy.ts";

interface Props {
  text: string;
  /** As a language tag, where it is known. */
  language?: string | null | undefined;
  /** Whether it ends where it was meant to end. */
  isWhole: boolean;
}

/** What Markdown can't do without; most answers have none of it, and need nothing fetched. */
const MARKS = /[*_`~#>|<[\]\\]|^[ \t]*(?:[-+]|\d+[.)])[ \t]|^[-=]+$|https?:|www\.|\w@\w|&#?\w+;/im;

const Markdown = later<Props>(
  () => import("./markdown.tsx"),
  (_, { text, language }) => asItIs(text, language),
);

const asItIs = (text: string, language: Props["language"]) =>
  createElement("p", { className: "line-text", dir: "auto", lang: language ?? undefined }, text);

export function Answer(props: Props) {
  return MARKS.test(props.text) ? <Markdown {...props} /> : asItIs(props.text, props.language);
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
