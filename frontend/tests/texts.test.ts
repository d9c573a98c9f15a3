/** All texts that people read are in one file, `src/texts.ts`. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "vite";
import { describe, expect, it } from "vitest";

import * as texts from "../src/texts.ts";

const SRC = fileURLToPath(new URL("../src", import.meta.url));

/** A node of the syntax tree. */
interface Piece {
  type: string;
  start: number;
  [part: string]: unknown;
}

const isPiece = (value: unknown): value is Piece =>
  typeof value === "object" && value !== null && "type" in value;

/** Attributes whose value is shown or read aloud. */
const SHOWN =
  /^(aria-(label|description|roledescription|valuetext|placeholder)|title|placeholder|alt|altText|label|children)$/;
const HAS_WORDS = /\p{L}/u;
/** The start of a sentence in a string that is not shown directly: a note, a complaint. */
const SENTENCE = /^\p{Lu}\p{Ll}+(?=$|[\s…,.:;!?])/u;
/** Strings that only look like sentences: key names, and the server's default title. */
const NO_SENTENCES = new Set(["Control", "Ctrl", "Enter", "Escape", "Esc", "New Conversation"]);

/** Finds the texts that people read in a file, each with its line. */
function found(source: string, name: string): string[] {
  const { program, errors } = parseSync(name, source);
  expect(errors, name).toEqual([]);
  const at: string[] = [];
  const look = (piece: Piece, isShown: boolean) => {
    const text = wordsOf(piece);
    const isText = isShown ? HAS_WORDS.test(text) : SENTENCE.test(text) && !NO_SENTENCES.has(text);
    if (isText)
      at.push(`${name}:${source.slice(0, piece.start).split("\n").length} ${text.trim()}`);
    for (const [part, value] of Object.entries(piece))
      for (const each of Array.isArray(value) ? value : [value])
        if (isPiece(each)) look(each, showing(piece, part, isShown));
  };
  look(program as unknown as Piece, false);
  return at;
}

function wordsOf(piece: Piece): string {
  if (piece.type === "JSXText") return String(piece["value"]);
  if (piece.type === "Literal") return typeof piece["value"] === "string" ? piece["value"] : "";
  if (piece.type !== "TemplateElement") return "";
  return (piece["value"] as { cooked: string }).cooked;
}

/** Whether the value of a node's part is shown on the page as it is. */
function showing(piece: Piece, part: string, isShown: boolean): boolean {
  switch (piece.type) {
    case "JSXElement":
    case "JSXFragment":
      return part === "children";
    case "JSXAttribute": {
      const { name } = piece["name"] as { name: unknown };
      return part === "value" && typeof name === "string" && SHOWN.test(name);
    }
    case "JSXExpressionContainer":
    case "TemplateLiteral":
      return isShown;
    case "ConditionalExpression":
      return isShown && part !== "test";
    case "LogicalExpression":
      return isShown && (part === "right" || piece["operator"] !== "&&");
    case "BinaryExpression":
      return isShown && piece["operator"] === "+";
    default:
      return false;
  }
}

/** Banned: stilted words, repeated end marks, `!`, curly apostrophes, double spaces. */
const STILTED =
  /\b(one|who(so)?ever|it is not|does not|can ?not|please|oops)\b|[.!?]{2}|!|’|[^.] {2}/i;

/** Every text of the module; those that take values get samples. */
function all(value: unknown, path: string): [path: string, text: string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, value("2", 2)]];
  return Object.entries(value as object).flatMap(([name, part]) => all(part, `${path}.${name}`));
}

describe("the texts of the page", () => {
  it("are in their module, and nowhere else", () => {
    const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/.test(name) && !/^shared.api.generated|^texts\.ts$/.test(name))
      .map((name) => join(SRC, name));

    expect(files.length).toBeGreaterThan(60);
    expect(files.flatMap((file) => found(readFileSync(file, "utf8"), relative(SRC, file)))).toEqual(
      [],
    );
  });

  it.each([
    ["<p>Hello</p>", "Hello"],
    ["<p>{isOn ? 'on' : texts.off}</p>", "on"],
    [`<p>{isOn && \`said \${much}\`}</p>`, "said "],
    ["<i aria-label='Close' />", "Close"],
    ["<i title={isOn ? texts.on : 'off'} />", "off"],
    ["<Head title={name ?? 'nameless'} />", "nameless"],
    ["tell('Conversation saved')", "Conversation saved"],
    [`tell(\`Not renamed. \${why}\`)`, "Not renamed."],
  ])("are found elsewhere, as in %s", (source, text) => {
    expect(found(`const it = ${source};`, "it.tsx")).toEqual([`it.tsx:1 ${text.trim()}`]);
  });

  it.each([
    "<p className='muted small'>{texts.p}</p>",
    "<p>{is === 'on' ? texts.on : marked('x')}</p>",
    "<Icon name={isOn ? 'warning' : 'copy'} />",
    "new TypeError('an answer without its field')",
    "key !== 'Escape'",
  ])("are not what only programs read, as in %s", (source) => {
    expect(found(`const it = ${source};`, "it.tsx")).toEqual([]);
  });

  it("have one voice", () => {
    const held = all(texts, "texts");

    expect(held.length).toBeGreaterThan(150);
    expect(held.filter(([, text]) => !/\S/.test(text) || STILTED.test(text))).toEqual([]);
  });

  it("count in the form that the number asks for", () => {
    expect([0, 1, 2, 21].map(texts.lines)).toEqual(["0 lines", "1 line", "2 lines", "21 lines"]);
    expect([1, 3].map(texts.accountHas)).toEqual([
      "1 conversation is now in your account.",
      "3 conversations are now in your account.",
    ]);
  });
});
