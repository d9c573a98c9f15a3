/** What an agent said: plain text, or formatted if it contains Markdown. */
import { createElement } from "react";

import { later } from "../store/lazy.ts";

interface Props {
  text: string;
  /** A language tag, if known. */
  language?: string | null | undefined;
  /** Whether the text is complete. */
  isWhole: boolean;
}

/** Marks that Markdown needs; most answers have none, so no parser is loaded. */
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

/** The words of an answer without Markdown marks, for screen readers. */
export async function announced(text: string): Promise<string> {
  if (!MARKS.test(text)) return text;
  try {
    return (await import("./markdown.tsx")).plain(text);
  } catch {
    return text;
  }
}
