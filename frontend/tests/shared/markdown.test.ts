/** How the page shows and announces an agent's Markdown, and which attacks it blocks. */
import { createElement, Fragment } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";

import { formatted, plain } from "../../src/shared/transcript/markdown.tsx";

const shown = (text: string, isWhole = true): string =>
  renderToStaticMarkup(createElement(Fragment, null, formatted(text, isWhole) ?? text));

const SAMPLE = `## Plan

Buy **fresh** *eggs*, ~~no~~ \`a<b\` from [the shop](https://shop.example/?a=1&b=2).
Second line &amp; more

1. one
2. two
   - [x] deep

> quoted

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`js
alert("<b>")
\`\`\`
`;

describe("an answer in Markdown", () => {
  it("is formatted", () => {
    expect(shown(SAMPLE)).toBe(
      '<p class="heading">Plan</p>' +
        "<p>Buy <strong>fresh</strong> <em>eggs</em>, <del>no</del> <code>a&lt;b</code> from " +
        '<a href="https://shop.example/?a=1&amp;b=2" target="_blank" ' +
        'rel="noopener noreferrer nofollow">the shop</a>.<br/>Second line &amp; more</p>' +
        "<ol><li>one</li><li>two<ul><li>☑ deep</li></ul></li></ol>" +
        "<blockquote><p>quoted</p></blockquote>" +
        '<div class="wide" tabindex="0"><table><thead><tr><th>a</th><th data-align="right">b</th>' +
        '</tr></thead><tbody><tr><td>1</td><td data-align="right">2</td></tr></tbody></table></div>' +
        '<pre tabindex="0"><code>alert(&quot;&lt;b&gt;&quot;)</code></pre>',
    );
  });

  it("is announced without its marks", () => {
    expect(plain(SAMPLE)).toBe(
      "Plan Buy fresh eggs, no a<b from the shop. Second line & more 1. one 2. two deep quoted " +
        'a, b 1, 2 alert("<b>")',
    );
  });

  it("loads no picture, but links to it", () => {
    expect(shown("![a cat](https://elsewhere.example/c.png)")).toBe(
      '<p><a href="https://elsewhere.example/c.png" target="_blank" ' +
        'rel="noopener noreferrer nofollow">a cat</a></p>',
    );
    expect(shown("![a cat](data:image/png;base64,AAAA)")).toBe("<p>a cat</p>");
    expect(shown("[![a cat](https://x.example/c.png)](https://y.example)")).not.toContain("<img");
  });

  it("leads to the web and to mail only", () => {
    expect(shown("[x](mailto:ann@example.com)")).toContain('href="mailto:ann@example.com"');
    expect(shown("<https://example.com/a>")).toContain('href="https://example.com/a"');
    for (const href of ["/settings", "//evil.example", "#x", "ftp://x.example", "tel:1", "blob:x"])
      expect(shown(`[x](${href})`)).toBe("<p>x</p>");
  });
});

const SCRIPTS = [
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  " javascript:alert(1)",
  "\u0001javascript:alert(1)",
  "java\tscript:alert(1)",
  "java&#10;script:alert(1)",
  "&#106;avascript:alert(1)",
  "&#x6A;avascript&colon;alert(1)",
  "javascript&#58;alert(1)",
  "javascript&#x3A;alert(1)",
  "java\\script:alert(1)",
  "%6aavascript:alert(1)",
  "vbscript:msgbox(1)",
  "data:text/html,<script>alert(1)</script>",
  "data:text/html;base64,PHNjcmlwdD4=",
  "DATA:image/svg+xml,<svg onload=alert(1)>",
  "view-source:javascript:alert(1)",
  "feed:javascript:alert(1)",
  "file:///etc/passwd",
];

const HTML = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "**<img src=x onerror=alert(1)>**",
  "> - <svg/onload=alert(1)>",
  "<a href='javascript:alert(1)'>x</a>",
  "<iframe src=https://evil.example></iframe>",
  "<style>*{display:none}</style>",
  "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
  "`<script>`\n\n```\n</code><script>alert(1)</script>\n```",
  "<!-- <script>alert(1)</script> -->",
  "<br><script>x</script><BR/>",
  "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x&#62;",
  '[x](https://x.example "a\\" onmouseover=\\"alert(1)")',
  '![<img src=x onerror=alert(1)>](https://x.example/"onerror="alert(1))',
  '```js" onload="alert(1)\nx\n```',
  "# <script>x</script>",
  "[<b>x</b>](https://x.example/<script>)",
];

/** All tags in the HTML, with their attributes. */
const tags = (html: string) => html.match(/<\/?[a-z][^>]*>/gi) ?? [];
const HARMLESS =
  /^<\/?(?:p|strong|em|del|code|pre|blockquote|ul|ol|li|table|thead|tbody|tr|th|td|div|br|hr|a)(?: class="(?:heading|wide)"| tabindex="0"| data-align="(?:left|center|right)"| start="\d+"| href="(?:https?:\/\/|mailto:)[^"]*" target="_blank" rel="noopener noreferrer nofollow")*\/?>$/;

function expectHarmless(text: string) {
  for (const html of [shown(text), shown(text, false)])
    for (const tag of tags(html)) expect(tag).toMatch(HARMLESS);
}

describe("what an answer can't smuggle in", () => {
  it.each(SCRIPTS)("no script in an address: %j", (url) => {
    const texts = [
      `[x](${url})`,
      `[x](<${url}>)`,
      `![x](${url})`,
      `<${url}>`,
      `[x]\n\n[x]: ${url}`,
    ];
    for (const text of [...texts, ...texts.map((text) => `> 1. **${text}**`)]) {
      expectHarmless(text);
      expect(shown(text)).not.toMatch(/href="(?!https?:|mailto:)/i);
    }
  });

  it.each(HTML)("no HTML: %j", (text) => {
    expectHarmless(text);
    expectHarmless(`> - ${text}`);
    expectHarmless(`**[${text}](https://x.example)**`);
  });

  it("shows HTML as the text that it is", () => {
    expect(shown("Hi <b onclick=x>you</b>")).toBe("<p>Hi &lt;b onclick=x&gt;you&lt;/b&gt;</p>");
    expect(shown("<script>alert(1)</script>")).toBe("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(shown("a<br>b")).toBe("<p>a<br/>b</p>");
  });
});

describe("an answer that is still spoken, or was cut off", () => {
  it("is closed where it ends", () => {
    expect(shown("It is **very im", false)).toBe("<p>It is <strong>very im</strong></p>");
    expect(shown("Use `npm r", false)).toBe("<p>Use <code>npm r</code></p>");
    expect(shown("See [the sh", false)).toBe("<p>See the sh</p>");
    expect(shown("```js\nlet a", false)).toBe('<pre tabindex="0"><code>let a</code></pre>');
  });

  it("shows no mark in passing that it does not show in the end", () => {
    const text =
      "Take **two big** eggs, `some salt` and *a pan* from [our shop](https://x.example).";
    const words = text.split(/(?= )/);
    for (let count = 1; count <= words.length; count++) {
      const seen = shown(words.slice(0, count).join(""), count === words.length);
      expect(seen.replace(/<[^>]*>/g, "")).not.toMatch(/[*`[\]]/);
    }
  });

  it("loses no letter, wherever it is cut", () => {
    const text = SAMPLE.replace("&amp;", "").replace("[x]", "").replace("?a=1&b=2", "");
    const letters = (words: string) => words.replace(/[^a-z]/gi, "");
    for (let end = 1; end < text.length; end++) {
      const cut = text.slice(0, end);
      expectHarmless(cut);
      const seen = shown(cut, false)
        .replace(/<[^>]*>/g, "")
        .replace(/&[a-z]+;/g, "");
      const said = cut.replace(/\]\([^)]*\)?/, "").replace(/^```j?s?/m, "");
      expect(letters(seen)).toBe(letters(said));
    }
  });
});

describe("a text of 32 kB", () => {
  const HARD = [
    ...[">", "> ", "[", "](", "<a b='", "<!--", "http://", "*", "*a ", "**a", "`", "- ", "|", "# "],
    ...["&", "\\", "[a](", "1. ", "_a", "\n[a]:", " ", "a", "![", "*a_ ", "| a ", "  - x\n", "~~a"],
    ...[
      "a@b.",
      "www.",
      "\n> - ",
      "***",
      "\t",
      "*word_by_word* ",
      "**a bold word ",
      "a _b c d e f ",
    ],
    ...["[a b c d e f ", "<a title here ", "> quoted again and again\n", "- item\n", "| a | b |\n"],
  ];
  it.each(HARD)("is shown soon: %j", { timeout: 30_000 }, (part) => {
    const text = part.repeat(Math.floor(32_768 / part.length));
    const began = performance.now();
    formatted(text, false);
    formatted(text, true);
    plain(text);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it("is formatted if it is an honest one", () => {
    const text = `${SAMPLE}\n`.repeat(100);
    expect(shown(text).split("<strong>")).toHaveLength(101);
  });

  it("is shown as it is if parsing it would take long", () => {
    expect(formatted("*a ".repeat(10_000), true)).toBeNull();
    expect(formatted(`${"> ".repeat(30)}x`, true)).toBeNull();
    expect(plain("*a ".repeat(10_000))).toHaveLength(30_000);
  });
});
