"""The built-in demo: answers text with text when there is no language model.

It greets, tells the time and the date, does sums, and repeats. Otherwise it says what it heard, and
that it can't answer a question or a request. It never pretends to understand.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from agent.demo.arithmetic import find_sum, in_digits

GREETING: Final = (
    "Hello! I'm the built-in demo: I can tell the time and the date, do sums, and repeat what I "
    "hear. The README shows how to connect a language model."
)
ABLE: Final = (
    "I'm VoxQL's built-in demo. I can tell the time and the date, do sums, and repeat what you "
    "say. For a real conversation, connect a language model: VOXQL_LLM_BASE_URL says where it is."
)
_MOST: Final = 80
"""Most characters of the heard text to repeat: about six seconds of speech."""
_FEWEST: Final = 40
"""The text is cut between words, unless fewer characters than this would be left."""
_ENDS: Final = (*".!?\u2026", *"\u3002\uff01\uff1f\uff0e\u061f\u06d4\u0964")
"""Marks that end a sentence in several scripts."""
_CLOSING: Final = "\"'\u201d\u2019\u00bb)]"
_COMPARED: Final = 300
"""Characters compared with the patterns; nothing longer is a phrase that this module knows."""
_FLAG_LETTERS: Final = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
"""Two of them form a flag."""
_ZWJ: Final = "\N{ZERO WIDTH JOINER}"

_POLITE: Final = re.compile(
    r"^(?:(?:um|uh|well|so|okay|ok|and|but|please|hey|now|then|oh|alright|all right|excuse me"
    r"|(?:can|could|would|will) you|tell me|do you know)\s+)+"
)
_TAIL: Final = re.compile(r"(?: (?:please|now|right now|for me|here|then))+$")
_HELLO: Final = re.compile(
    r"(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))"
    r"(?: (?:hello|hi|there|again|agent|assistant|everyone|everybody))*"
)
_HOW: Final = re.compile(
    r"(?:(?:hello|hi|hey)(?: there)? )?(?:how are you(?: doing)?|how do you do"
    r"|how(?:'s| is) it going|what'?s up)(?: today)?"
)
_BYE: Final = re.compile(
    r"(?:thank you |thanks |ok )?(?:good ?bye|bye(?: bye)?|see you(?: later| soon)?|good ?night"
    r"|farewell|that'?s all)"
)
_THANKS: Final = re.compile(r"(?:thanks|thank you|many thanks|cheers)(?: .{0,30})?")
_WHO: Final = re.compile(
    r"(?:who|what) are you|what(?:'s| is) your name|help(?: me)?|what (?:else )?can you do"
    r"|what are you able to do|(?:are you|is this) (?:an? )?(?:ai|bot|robot|demo|human|real)"
    r"|(?:how (?:do|can) i |)?connect an? (?:language )?model"
)
_HEARD: Final = re.compile(r"(?:(?:can|do) you |)(?:hear|read) me")
_QUIET: Final = re.compile(
    r"(?:stop|stop it|be quiet|quiet|silence|shut up|wait|hold on|pause|never ?mind|forget it)"
)
_TIME: Final = re.compile(
    r"what(?:'s| is)? (?:the )?(?:current )?time(?: is it| it is)?|(?:the|current) time"
    r"|(?:do you have|have you got|you have) the time|how late is it"
)
_WHEN: Final = r"(?: (?:is|was|will|be|it|today|tomorrow|yesterday|of the week|now))*"
_DATE: Final = re.compile(
    r"(?:(?:what|which)(?:'s| is| was| will be)? (?:the |today's |tomorrow's |yesterday's )?"
    r"|the |today's |tomorrow's |yesterday's )(?:current )?(date|day|weekday|month|year)" + _WHEN
)
_TODAY: Final = re.compile(r"what(?:'s| is) (today|tomorrow)")
_AFTER_ME: Final = re.compile(
    r"^\W*(?:(?:can|could|would|will) you )?(?:please )?"
    r"(?:repeat after me|say after me|repeat the words|say the words)\b[\s,:.\"\u201c]*(.*)$",
    re.IGNORECASE | re.DOTALL,
)
_WHAT_I_SAID: Final = re.compile(
    r"what (?:did|have) i (?:just )?(?:say|said)|what did you hear|repeat (?:that|what i said|it)"
    r"|say (?:that|it) (?:again|back)|what was the last thing i said"
)
_QUESTION: Final = re.compile(
    r"(?:who|what|when|where|why|how|which|whose|is|are|was|were|do|does|did|can|could|will|would"
    r"|should|have|has)\b(?! a\b)"
)
_REQUEST: Final = re.compile(
    r"(?:explain|describe|show|teach|list|define|play|sing|set|remind|send|search|find|google"
    r"|look up|translate|order|buy|book|turn|switch|open|write|read|sum up|summari[sz]e)\b"
)


_WISH: Final = re.compile(r"(?:please )?(?:tell me|(?:can|could|would|will) you)\b")
_ASKS: Final = ("?", "\uff1f", "\u061f")


class Turn:
    """One thing the person said, verbatim and normalised for comparison."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        plain = self.text[:_COMPARED].lower().replace("\u2019", "'")
        plain = re.sub(r"[.!?,;:\u2026]+(?=\s|$)|[\"\u201c\u201d]", "", plain)
        more = "\u2026" * (len(self.text) > _COMPARED)
        self.plain = " ".join(plain.split()) + more
        self.asked = _TAIL.sub("", _POLITE.sub("", self.plain))
        """Without polite phrases: "Could you tell me the time, please?" becomes "the time"."""
        self.is_wish = bool(_WISH.match(self.plain) or _REQUEST.match(self.asked))
        self.is_question = self.text.endswith(_ASKS) or bool(_QUESTION.match(self.asked))


def respond(said: Sequence[str], now: datetime) -> str:
    """Answer the person's last turn.

    Args:
        said: The person's turns, oldest first.
        now: The agent's local time, with its time zone.
    """
    turns = [Turn(text) for text in said if text.strip()]
    if not turns:
        return "I didn't catch that."
    last, before = turns[-1], turns[:-1]
    return (
        _repeats(last, before)
        or _is_polite(last.asked)
        or _calculates(last.plain)
        or _tells_time(last.asked, now)
        or _heard(last)
    )


def sentence(text: str) -> str:
    """Return a text as a sentence, with a capital at the start and a mark at the end."""
    text = text.strip()
    first = text[:1].upper()
    text = (first if len(first) == 1 else text[:1]) + text[1:]
    return text if _has_ended(text) else text.rstrip(",;:- ") + "."


def quoted(text: str) -> str:
    """Quote a text, shortened if it is long, as the end of a sentence."""
    text = shortened(text)
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    text = text.rstrip(",;: ")
    return f"\u201c{text}\u201d" + "." * (not _has_ended(text))


def shortened(text: str) -> str:
    """Shorten a text to be repeated, without splitting an emoji or a syllable."""
    if len(text) <= _MOST:
        return text
    end = text.rfind(" ", _FEWEST, _MOST)
    if end < 0:
        end = _MOST - 1
        while end > _FEWEST and _belong_together(text, end):
            end -= 1
    return text[:end].rstrip(" ,;:.-\u2026") + "\u2026"


def _has_ended(text: str) -> bool:
    return text.rstrip(_CLOSING).endswith(_ENDS)


def _belong_together(text: str, at: int) -> bool:
    """Whether the characters before and after a position appear as one."""
    run = 0
    while run < at and text[at - run - 1] in _FLAG_LETTERS:
        run += 1
    is_in_a_flag = run % 2 == 1 and text[at] in _FLAG_LETTERS
    is_part = unicodedata.category(text[at]) in ("Mn", "Me", "Mc", "Sk") or text[at] == _ZWJ
    return is_part or is_in_a_flag or text[at - 1] == _ZWJ


def _repeats(last: Turn, before: Sequence[Turn]) -> str | None:
    if wish := _AFTER_ME.match(last.text):
        words = wish[1].strip().strip('"\u201c\u201d').rstrip("?")
        return sentence(words) if words else "OK. What shall I repeat?"
    if before and before[-1].asked in ("repeat after me", "say after me"):
        return sentence(last.text)
    if not _WHAT_I_SAID.fullmatch(last.asked):
        return None
    return f"You said: {quoted(before[-1].text)}" if before else "You haven't said anything yet."


def _is_polite(asked: str) -> str | None:
    """Answer small talk, such as greetings and thanks."""
    answers = (
        (_HELLO, "Hello! Ask me for the time, the date or a sum."),
        (_HOW, "I'm fine, thank you!"),
        (_THANKS, "You're welcome."),
        (_BYE, "Goodbye!"),
        (_WHO, ABLE),
        (_HEARD, "Yes, I can."),
        (_QUIET, "OK."),
    )
    return next((answer for pattern, answer in answers if pattern.fullmatch(asked)), None)


def _calculates(plain: str) -> str | None:
    found = find_sum(plain)
    if found is None:
        return None
    return found.problem if found.value is None else f"That's {in_digits(found.value)}."


def _tells_time(asked: str, now: datetime) -> str | None:
    if _TIME.fullmatch(asked):
        return f"It's {_clock(now)}."
    found = _DATE.fullmatch(asked)
    if found and found[1] == "year":
        return f"It's {now.year}."
    if found and found[1] == "month":
        return f"It's {now:%B}."
    return _day(asked, now) if found or _TODAY.fullmatch(asked) else None


def _clock(now: datetime) -> str:
    if now.minute == 0 and now.hour % 12 == 0:
        return "noon" if now.hour else "midnight"
    hour = now.hour % 12 or 12
    clock = f"{hour}:{now.minute:02}" if now.minute else f"{hour} o'clock"
    parts = ((12, "in the morning"), (18, "in the afternoon"), (21, "in the evening"))
    return f"{clock} {next((part for end, part in parts if now.hour < end), 'at night')}"


def _day(asked: str, now: datetime) -> str:
    shift, word = 0, "Today is"
    if "tomorrow" in asked:
        shift, word = 1, "Tomorrow is"
    elif "yesterday" in asked:
        shift, word = -1, "Yesterday was"
    day = now.date() + timedelta(days=shift)
    return f"{word} {day:%A}, {day:%B} {day.day}, {day.year}."


def _heard(last: Turn) -> str:
    heard = f"I heard: {quoted(last.text)}"
    if last.is_wish:
        return f"{heard} I can't do that: I'm only a demo."
    return f"{heard} I can't answer that: I'm only a demo." if last.is_question else heard
