/**
 * Renders an agent's Markdown as React elements, never as HTML: HTML in it is shown as text, a link
 * must have one of `SCHEMES`, and nothing is loaded.
 */
import "../../styles/markdown.css";

import { Marked, type MarkedToken, type Token, type Tokens } from "marked";
import { Fragment, type ReactNode, useMemo } from "react";
import remend from "remend";

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const markdown = new Marked({ gfm: true, breaks: true });

/** Longer texts are parsed only if they contain few `MARKS`: the parser is quadratic in those. */
const EASY = 4_096;
const MARKS = /[*_[<]/g;
/** A line that opens two dozen nested blocks or has 400 blanks in a row. */
const HARD = /(?:> ?|(?:[*+-]|\d{1,9}[.)])[ \t]+){24}|[ \t]{400}/;

/** Renders an answer; null if the page should show the text as it is. */
export function formatted(text: string, isWhole: boolean): ReactNode {
  const tokens = parsed(isWhole ? text : mended(text));
  return tokens && blocks(tokens);
}

/** An answer's words without marks, for announcements. */
export function plain(text: string): string {
  const tokens = parsed(text);
  return tokens ? words(tokens).replace(/\s+/g, " ").trim() : text;
}

interface Props {
  text: string;
  /** A language tag, if known. */
  language?: string | null | undefined;
  /** Whether the text is complete. */
  isWhole: boolean;
}

export default function Markdown({ text, language, isWhole }: Props) {
  const shown = useMemo(() => formatted(text, isWhole), [text, isWhole]);
  return shown === null ? (
    <p className="line-text" dir="auto" lang={language ?? undefined}>
      {text}
    </p>
  ) : (
    <div className="line-text formatted" dir="auto" lang={language ?? undefined}>
      {shown}
    </div>
  );
}

/** Closes open marks, so that half a bold word is bold at once, not only with its last letter. */
function mended(text: string): string {
  if (isHard(text)) return text;
  return remend(text, { linkMode: "text-only", htmlTags: false, images: false, katex: false });
}

function parsed(text: string): Token[] | null {
  return isHard(text) ? null : markdown.lexer(text);
}

function isHard(text: string): boolean {
  if (HARD.test(text)) return true;
  return text.length > EASY && (text.match(MARKS)?.length ?? 0) * 8 > text.length;
}

function blocks(tokens: readonly Token[]): ReactNode {
  return drawn(tokens, block);
}

function inlines(tokens: readonly Token[] | undefined): ReactNode {
  return drawn(tokens ?? [], inline);
}

function drawn(tokens: readonly Token[], draw: (token: MarkedToken) => ReactNode): ReactNode {
  return tokens.map((token, index) => {
    return <Fragment key={index}>{draw(token as MarkedToken)}</Fragment>;
  });
}

function block(token: MarkedToken): ReactNode {
  switch (token.type) {
    case "heading":
      return <p className="heading">{inlines(token.tokens)}</p>;
    case "paragraph":
      return <p>{inlines(token.tokens)}</p>;
    case "code":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolling needs keyboard access
        <pre tabIndex={0}>
          <code>{token.text}</code>
        </pre>
      );
    case "blockquote":
      return <blockquote>{blocks(token.tokens)}</blockquote>;
    case "list":
      return list(token);
    case "table":
      return table(token);
    case "hr":
      return <hr />;
    case "space":
    case "def":
      return null;
    default:
      return inline(token);
  }
}

function list(token: Tokens.List): ReactNode {
  const items = token.items.map((item, index) => {
    return <li key={index}>{blocks(item.tokens)}</li>;
  });
  if (!token.ordered) return <ul>{items}</ul>;
  const start = token.start || 1;
  return <ol start={start === 1 ? undefined : start}>{items}</ol>;
}

function table(token: Tokens.Table): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: scrolling needs keyboard access
    <div className="wide" tabIndex={0}>
      <table>
        <thead>
          <tr>{token.header.map(cell)}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>{row.map(cell)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function cell({ header, align, tokens }: Tokens.TableCell, index: number): ReactNode {
  const Name = header ? "th" : "td";
  return (
    <Name key={index} data-align={align ?? undefined}>
      {inlines(tokens)}
    </Name>
  );
}

function inline(token: MarkedToken): ReactNode {
  switch (token.type) {
    case "strong":
      return <strong>{inlines(token.tokens)}</strong>;
    case "em":
      return <em>{inlines(token.tokens)}</em>;
    case "del":
      return <del>{inlines(token.tokens)}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return link(token.href, inlines(token.tokens));
    case "image":
      return link(token.href, token.text || token.href);
    case "checkbox":
      return token.checked ? "☑ " : "☐ ";
    case "html":
      return BREAK.test(token.raw) ? <br /> : token.raw;
    case "text":
      return token.tokens ? inlines(token.tokens) : decoded(token.text);
    case "escape":
      return token.text;
    default:
      return token.raw;
  }
}

function link(href: string, shown: ReactNode): ReactNode {
  const url = URL.parse(href);
  if (!url || !SCHEMES.has(url.protocol)) return shown;
  return (
    <a href={url.href} target="_blank" rel="noopener noreferrer nofollow">
      {shown}
    </a>
  );
}

const BREAK = /^<br\s*\/?>$/i;
const ENTITY = /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,8}));/gi;
const NAMED: Record<string, string> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  deg: "°",
  euro: "€",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  middot: "·",
  times: "×",
};

/** Decodes entities, which the parser leaves to its HTML renderer. */
function decoded(text: string): string {
  return text.replace(ENTITY, (entity, decimal?: string, hex?: string, name?: string) => {
    if (name) return NAMED[name] ?? entity;
    const point = decimal ? Number(decimal) : Number.parseInt(hex ?? "", 16);
    return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : entity;
  });
}

function words(tokens: readonly Token[]): string {
  return tokens.map((token) => said(token as MarkedToken)).join("");
}

function said(token: MarkedToken): string {
  switch (token.type) {
    case "table":
      return [token.header, ...token.rows]
        .map((row) => `${row.map((cell) => words(cell.tokens)).join(", ")}\n`)
        .join("");
    case "list":
      return `\n${token.items.map((item, at) => `${number(token, at)}${words(item.tokens)}\n`).join("")}`;
    case "space":
    case "br":
      return "\n";
    case "hr":
    case "def":
    case "checkbox":
      return "";
    case "html":
      return BREAK.test(token.raw) ? "\n" : token.raw;
    case "code":
    case "codespan":
    case "escape":
      return token.text;
    case "text":
      return token.tokens ? words(token.tokens) : decoded(token.text);
    case "image":
      return token.text;
    case "paragraph":
    case "heading":
    case "blockquote":
      return `${words(token.tokens)}\n`;
    case "strong":
    case "em":
    case "del":
    case "link":
      return words(token.tokens);
    default:
      return token.raw;
  }
}

function number(list: Tokens.List, index: number): string {
  return list.ordered ? `${(list.start || 1) + index}. ` : "";
}
