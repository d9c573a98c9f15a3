"""Converts Markdown, while it is being written, to the plain words that a voice says.

The filter of livekit-agents, `filter_markdown`, is not used. It reads tables and HTML aloud, drops
words that are struck through, holds back the rest of a line after an unpaired asterisk, and keeps
no record of what it removed, so the transcript would lose the Markdown.

A mark is judged by the characters beside it, never by its counterpart. So no text waits for a
closing mark that may not come, and an unpaired mark removes nothing but itself.
"""

import html
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from agent.speaking import marks

Piece = tuple[str, str]
"""The spoken text and its source; either may be empty."""
_Taken = tuple[int, str] | None
"""The number of source characters and their spoken text; None if more input is needed."""

LONGEST: Final = 2048
"""Characters in the longest mark or address; no more than this is held back."""
_NOTHING: Final = (0, "")


class PlainWords:
    """Takes Markdown in chunks, split anywhere, and returns its words with their source.

    The joined sources of all pieces are the Markdown. The spoken text does not depend on where the
    Markdown was split. Only a possible mark or address is held back, usually one character.
    """

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._is_all = False
        self._pieces: list[Piece] = []
        self._before = ""
        """The last character of the source that was processed."""
        self._said = ""
        """The last spoken character."""
        self._fence = ""
        """The fence that opened the current code block; empty outside of one."""
        self._code = 0
        """The number of backticks that opened the current code span; 0 outside of one."""
        self._is_starred = False
        """A single asterisk has opened an emphasis."""
        self._begin_line()

    def push(self, text: str) -> list[Piece]:
        """Take the next chunk; return the pieces that are certain by now."""
        self._text = self._text[self._at :] + text
        self._at = 0
        while self._at < len(self._text) and (taken := self._next()) is not None:
            length, said = taken
            self._take(self._text[self._at : self._at + length], said)
            self._at += length
        pieces, self._pieces = self._pieces, []
        return pieces

    def end(self) -> list[Piece]:
        """End the input; return the remaining pieces."""
        self._is_all = True
        return self.push("")

    def _begin_line(self) -> None:
        self._is_start = True
        """Only marks have come in this line."""
        self._is_bare = True
        """Nothing in this line is spoken yet."""
        self._is_row = self._is_heading = self._is_item = False
        self._gap = ""
        """In a table row: the text spoken before the next word."""

    def _take(self, source: str, said: str) -> None:
        if said and self._gap:
            self._pieces.append((self._gap, ""))
            self._gap = ""
        self._pieces.append((said, source))
        self._before = source[-1]
        if said:
            self._said = said[-1]
            self._is_bare = self._is_bare and said.isspace()

    def _found(self, pattern: re.Pattern[str], half: re.Pattern[str] | None = None) -> int | None:
        """Return the length of the match at this position; 0 for no match, None if it may grow."""
        found = pattern.match(self._text, self._at)
        if found and len(found[0]) <= LONGEST:
            return None if self._may_grow(found.end()) and half is not None else len(found[0])
        if half is not None and half.match(self._text, self._at):
            return None if self._may_grow(len(self._text)) else 0
        return 0

    def _may_grow(self, end: int) -> bool:
        return end == len(self._text) and not self._is_all and end - self._at <= LONGEST

    def _after(self, end: int) -> str:
        return self._text[end : end + 1]

    def _next(self) -> _Taken:
        if self._fence:
            return self._in_fence()
        if self._is_start:
            for look in (self._wordless, self._fence_begins, self._marker, self._definition):
                taken = look()
                if taken is None or taken[0]:
                    return taken
            self._is_start = False
        character = self._text[self._at]
        if character == "\n":
            return self._newline()
        if self._code and character != "`":
            return self._in_code()
        return _LOOKS.get(character, PlainWords._other)(self)

    # Lines.

    def _newline(self) -> _Taken:
        if self._is_bare:
            self._code, self._is_starred = 0, False
        self._begin_line()
        return 1, "\n" if self._said not in ("", "\n") else ""

    def _in_fence(self) -> _Taken:
        if self._is_start:
            length = self._found(marks.FENCE_END, marks.HALF_FENCE_END)
            if length is None:
                return None
            mark = self._text[self._at : self._at + length].strip(" \t\r>")
            if length and mark.startswith(self._fence):
                self._fence, self._is_start = "", False
                return length, ""
            self._is_start = False
        if self._text[self._at] == "\n":
            return self._newline()
        return self._in_code()

    def _in_code(self) -> _Taken:
        if spaces := self._found(marks.SPACES):
            return spaces, self._space()
        if emoji := self._found(marks.EMOJI):
            return emoji, ""
        return 1, self._text[self._at]

    def _wordless(self) -> _Taken:
        if self._is_item or self._is_heading:
            return _NOTHING
        length = self._found(marks.WORDLESS, marks.WORDLESS)
        return None if length is None else (length, "")

    def _fence_begins(self) -> _Taken:
        length = self._found(marks.FENCE, marks.HALF_FENCE)
        if length:
            run = self._text[self._at : self._at + length]
            self._fence = run[: len(run) - len(run.lstrip(run[0]))]
            # The rest of this line is not the start of a line in the block.
            self._is_start = False
        return None if length is None else (length, "")

    def _marker(self) -> _Taken:
        if spaces := self._found(marks.SPACES):
            return spaces, self._space()
        if self._text[self._at] == "|":
            self._is_row, self._is_start = True, False
            return 1, ""
        for pattern, half in _MARKERS:
            length = self._found(pattern, half)
            if length is None:
                return None
            if length:
                self._is_heading |= pattern is marks.HEADING
                is_number = pattern is marks.NUMBER
                self._is_item |= is_number or pattern is marks.BULLET
                return length, self._text[self._at : self._at + length] if is_number else ""
        return self._task() if self._is_item else _NOTHING

    def _task(self) -> _Taken:
        length = self._found(marks.TASK, marks.HALF_TASK)
        return None if length is None else (length, "")

    def _definition(self) -> _Taken:
        # Definitions come after the text that uses them, so never delay the first word for one.
        if not self._said:
            return _NOTHING
        length = self._found(marks.DEFINITION, marks.HALF_DEFINITION)
        return None if length is None else (length, "")

    # Within lines.

    def _space(self) -> str:
        if self._is_row:
            self._gap = self._gap or ("" if self._is_bare else " ")
            return ""
        return "" if self._is_bare or self._said.isspace() else " "

    def _spaces(self) -> _Taken:
        return self._found(marks.SPACES) or 1, self._space()

    def _backticks(self) -> _Taken:
        length = self._found(marks.RUNS["`"], marks.RUNS["`"])
        if length is None:
            return None
        if not self._code or self._code == length:
            self._code = 0 if self._code else length
        return length or 1, ""

    def _emphasis(self) -> _Taken:
        """Drop asterisks and underscores, unless they have a meaning: 5 * 3, 2*3, snake_case."""
        mark = self._text[self._at]
        length = self._found(marks.RUNS[mark], marks.RUNS[mark])
        if length is None:
            return None
        length = length or 1
        run = self._text[self._at : self._at + length]
        before, after = self._before, self._after(self._at + length)
        if not before.strip() and not after.strip():
            return length, run
        if before.isalnum() and after.isalnum():
            both = before + after
            means = mark == "_" or (both.isdigit() if length > 1 else both.isascii())
            if means and not (mark == "*" and length == 1 and self._is_starred):
                return length, run
        if mark == "*" and length == 1:
            self._is_starred = not before.isalnum() and after.isalnum()
        return length, ""

    def _tildes(self) -> _Taken:
        length = self._found(marks.RUNS["~"], marks.RUNS["~"])
        if length is None:
            return None
        return length or 1, "~" if length == 1 else ""

    def _pipe(self) -> _Taken:
        """Put a pause between the cells of a row."""
        if self._is_row:
            self._gap = "" if self._is_bare else ", "
            return 1, ""
        length = self._found(marks.RUNS["|"], marks.RUNS["|"])
        if length is None:
            return None
        is_cell = length == 1 and self._before.isspace() and self._after(self._at + 1).isspace()
        return length, "," if is_cell else "|" * length

    def _hashes(self) -> _Taken:
        """Drop the hashes that close a heading."""
        if not self._is_heading or not self._before.isspace():
            return 1, "#"
        length = self._found(marks.CLOSING, marks.CLOSING)
        return None if length is None else (length or 1, "" if length else "#")

    def _exclamation(self) -> _Taken:
        if self._may_grow(self._at + 1):
            return None
        is_image = self._after(self._at + 1) == "[" and not self._before.isalnum()
        return 1, "" if is_image else "!"

    def _opening(self) -> _Taken:
        length = self._found(marks.FOOTNOTE, marks.HALF_FOOTNOTE)
        return None if length is None else (length or 1, "")

    def _closing(self) -> _Taken:
        length = self._found(marks.TARGET, marks.HALF_TARGET)
        return None if length is None else (length or 1, "")

    def _angle(self) -> _Taken:
        length = self._found(marks.AUTOLINK, marks.HALF_AUTOLINK)
        if length is None:
            return None
        if length:
            return length, spoken_address(self._text[self._at + 1 : self._at + length - 1])
        length = self._found(marks.TAG, marks.HALF_TAG)
        if length is None:
            return None
        tag = marks.TAG.match(self._text, self._at) if length else None
        if tag is None or (tag[1] and not marks.HTML.fullmatch(tag[1])):
            return 1, "<"
        return length, self._space() if marks.BLOCK.fullmatch(tag[1] or "") else ""

    def _entity(self) -> _Taken:
        length = self._found(marks.ENTITY, marks.HALF_ENTITY)
        if length is None:
            return None
        entity = self._text[self._at : self._at + length]
        said = html.unescape(entity)
        if not length or said == entity:
            return 1, "&"
        return length, said if said.strip() else self._space()

    def _escape(self) -> _Taken:
        if self._may_grow(self._at + 1):
            return None
        if self._found(marks.ESCAPED):
            return 2, self._text[self._at + 1]
        return 1, "" if self._after(self._at + 1) == "\n" else "\\"

    def _other(self) -> _Taken:
        if not self._before.isalnum():
            length = self._found(marks.URL, marks.HALF_URL)
            if length is None:
                return None
            if length:
                url = self._text[self._at : self._at + length].rstrip(marks.AFTER_URL)
                return len(url), spoken_address(url)
        if word := self._found(marks.WORD):
            return word, self._text[self._at : self._at + word]
        if emoji := self._found(marks.EMOJI):
            return emoji, ""
        is_join = self._text[self._at] == marks.JOINER and bool(marks.EMOJI.match(self._before))
        return 1, "" if is_join else self._text[self._at]


def spoken_address(url: str) -> str:
    """Return the spoken form of an address: its host, or the mail address."""
    if url.lower().startswith("mailto:"):
        return url[7:]
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


_MARKERS: Final = (
    (marks.QUOTE, None),
    (marks.HEADING, marks.HEADING),
    (marks.BULLET, marks.BULLET),
    (marks.NUMBER, marks.HALF_NUMBER),
)
_LOOKS: Final[dict[str, Callable[[PlainWords], _Taken]]] = {
    "`": PlainWords._backticks,
    "*": PlainWords._emphasis,
    "_": PlainWords._emphasis,
    "~": PlainWords._tildes,
    "|": PlainWords._pipe,
    "#": PlainWords._hashes,
    "!": PlainWords._exclamation,
    "[": PlainWords._opening,
    "]": PlainWords._closing,
    "<": PlainWords._angle,
    "&": PlainWords._entity,
    "\\": PlainWords._escape,
    **dict.fromkeys(" \t\r", PlainWords._spaces),
}
