"""Patterns for the Markdown marks that a voice must not read aloud.

Each `HALF_` pattern matches a mark that is still incomplete at the end of the text so far.
"""

import re
from typing import Final

EMOJI: Final = re.compile(
    "[\U0001f000-\U0001fbff\u2600-\u27bf\u2b00-\u2bff\u231a\u231b\u23e9-\u23fa"
    "\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]{1,2000}"
)
JOINER: Final = "\u200d"
"""Joins emoji, and in some scripts letters."""

# At the start of a line.
WORDLESS: Final = re.compile(r"[-=*_|:># \t\r]{1,300}(?=\n|\Z)")
"""A line of marks only: a rule, or the underline of a heading or a table header."""
FENCE: Final = re.compile(r"(`{3,}|~{3,})[^`\n]*(?=\n|\Z)")
HALF_FENCE: Final = re.compile(r"(?:`{1,2}|~{1,2}|`{3,}[^`\n]*|~{3,}[^`\n]*)\Z")
FENCE_END: Final = re.compile(r"[ \t>]*(`+|~+)[ \t\r]*(?=\n|\Z)")
HALF_FENCE_END: Final = re.compile(r"[ \t>]*(?:`*|~*)[ \t\r]*\Z")
QUOTE: Final = re.compile(r"(?:>[ \t]?){1,100}")
HEADING: Final = re.compile(r"#{1,6}(?=[ \t\r\n]|\Z)")
BULLET: Final = re.compile(r"[-+*\u2022](?=[ \t]|\Z)")
TASK: Final = re.compile(r"\[[ xX]\](?=[ \t]|\Z)")
HALF_TASK: Final = re.compile(r"\[[ xX]?\Z")
NUMBER: Final = re.compile(r"\d{1,9}[.)](?=[ \t]|\Z)")
HALF_NUMBER: Final = re.compile(r"\d{1,9}\Z")
_TITLE: Final = r"""(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\))"""
_HALF_TITLE: Final = r"""(?:"[^"\n]*|'[^'\n]*|\([^()\n]*)?"""
DEFINITION: Final = re.compile(
    r"\[[^\[\]\n]{1,99}\]:[ \t]+<?(?:https?:|mailto:|www\.|[/#.])\S{0,2000}"
    rf"(?:[ \t]+{_TITLE})?[ \t\r]*(?=\n|\Z)"
)
HALF_DEFINITION: Final = re.compile(
    r"\[(?:[^\[\]\n]{0,99}|[^\[\]\n]{1,99}\](?::[ \t]*(?:\S*|\S+[ \t]+"
    rf"(?:{_HALF_TITLE}|{_TITLE}[ \t\r]*)))?)\Z"
)

# Within a line.
_ADDRESS: Final = r"[^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*"
TARGET: Final = re.compile(rf"\]\([ \t]*(?:<[^<>\n]*>|{_ADDRESS})(?:[ \t]+{_TITLE})?[ \t]*\)")
"""The target of a link, with the bracket that closes the link text."""
HALF_TARGET: Final = re.compile(
    rf"\](?:\([ \t]*(?:<[^<>\n]*|{_ADDRESS}(?:\([^\s<>()]*)?|"
    rf"(?:<[^<>\n]*>|{_ADDRESS})[ \t]+(?:{_TITLE}[ \t]*|{_HALF_TITLE})|<[^<>\n]*>)?)?\Z"
)
FOOTNOTE: Final = re.compile(r"\[\^[^\]\s]{1,20}\](?::|(?=[^:])|\Z)")
HALF_FOOTNOTE: Final = re.compile(r"\[(?:\^[^\]\s]{0,20}\]?)?\Z")
_NAME: Final = r"[A-Za-z][A-Za-z0-9]*"
_ATTRIBUTE: Final = r"""\s{1,9}[\w:-]+=(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+)"""
TAG: Final = re.compile(rf"<(?:!--.{{0,300}}?--|/?({_NAME})(?:{_ATTRIBUTE})*\s{{0,9}}/?)>", re.S)
HALF_TAG: Final = re.compile(
    rf"<(?:!(?:-(?:-.{{0,300}})?)?|/?(?:{_NAME}(?:{_ATTRIBUTE})*"
    r"""(?:\s{1,9}(?:[\w:-]+(?:=(?:"[^"]*|'[^']*|[^\s"'=<>`]+)?)?)?)?/?)?)?\Z""",
    re.S,
)
AUTOLINK: Final = re.compile(r"<((?:https?|mailto):[^\s<>]*|[^\s<>@]+@[^\s<>@]+)>", re.I)
HALF_AUTOLINK: Final = re.compile(r"<[^\s<>]*\Z")
URL: Final = re.compile(r"https?://[^\s<>\"`|]{1,2000}", re.I)
HALF_URL: Final = re.compile(
    r"h(?:t(?:t(?:p(?:s?(?::(?:/(?:/[^\s<>\"`|]*)?)?)?)?)?)?)?\Z", re.IGNORECASE
)
AFTER_URL: Final = ".,;:!?)]}*_~'\u201d\u2019"
"""Characters that more often follow an address than belong to it."""
ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
HALF_ENTITY: Final = re.compile(r"&#?[A-Za-z0-9]{0,32}\Z")
ESCAPED: Final = re.compile(r"\\[!-/:-@\[-`{-~]")
WORD: Final = re.compile(r"[^\W_]{1,2000}")
SPACES: Final = re.compile(r"[ \t\r]{1,2000}")

RUNS: Final = {mark: re.compile(rf"{re.escape(mark)}{{1,2000}}") for mark in "`*_~|"}
CLOSING: Final = re.compile(r"#{1,2000}[ \t\r]*(?=\n|\Z)")

HTML: Final = re.compile(
    r"a|abbr|b|big|blockquote|body|br|center|cite|code|dd|del|details|div|dl|dt|em|font|h[1-6r]|"
    r"head|html|i|img|input|ins|kbd|li|mark|ol|p|pre|q|s|samp|script|small|span|strike|strong|style|"
    r"sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var",
    re.I,
)
"""Names that count as tags; `<name>` in a sentence is a placeholder."""
BLOCK: Final = re.compile(r"blockquote|br|dd|div|dl|dt|h[1-6r]|li|ol|p|pre|table|td|th|tr|ul", re.I)
