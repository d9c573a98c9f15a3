"""What the agent answers when it has no language model: little, but never as if it were more.

It greets, tells time and date, does sums, repeats, sums up what it heard, and says what it can't
do; to anything else it shows that it listened.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from agent_bridge.agent.arithmetic import find_sum, in_words
from agent_bridge.agent.gist import gist, quoted, sentence

_NAME: Final = r"([a-z][a-z'\u2019\-]*(?: [a-z][a-z'\u2019\-]*)?)"
_POLITE: Final = re.compile(
    r"^(?:(?:um|uh|well|so|okay|ok|and|but|please|hey|now|then|oh|alright|all right)[\s,]+)+"
)
_CANNOT: Final = {
    r"\bweather\b|\bforecast\b|\btemperature\b": "look up the weather",
    r"\bnews\b|\bheadlines?\b": "read the news",
    r"\b(?:play|sing)\b.*\b(?:song|music|something|me)\b|\bplay (?:some|the)\b": "play music",
    r"\b(?:timer|alarm|remind(?:er)?)\b": "set timers or reminders",
    r"\b(?:call|phone|dial)\b (?:my|the|a|him|her|them)\b": "make phone calls",
    r"\b(?:send|write)\b.*\b(?:e-?mail|message|text)\b": "send messages",
    r"\b(?:search|google|look up|browse)\b": "search the web",
    r"\b(?:translate|translation)\b": "translate",
    r"\b(?:order|buy|book)\b (?:me|a|an|some|the)\b": "order or book things",
    r"\b(?:turn|switch) (?:on|off)\b": "switch devices on or off",
    r"\btell me a (?:joke|story)\b": "make up jokes or stories",
}
_QUESTION: Final = re.compile(
    r"^(?:who|what|when|where|why|how|which|whose|is|are|was|were|do|does|did|can|could|will|would|"
    r"should|have|has)\b"
)
_ABLE: Final = (
    "I can tell you the time and the date, do sums, repeat what you say, and sum up what I heard."
)


class Turn:
    """One thing the person said, as it was and for comparing."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        plain = self.text.lower().replace("\u2019", "'")
        self.plain = _POLITE.sub("", re.sub(r"[.!?,;:\"]+(?=\s|$)", "", plain)).strip()

    @property
    def is_question(self) -> bool:
        """Whether it asks something."""
        return self.text.endswith("?") or bool(_QUESTION.match(self.plain))


def respond(said: Sequence[str], now: datetime) -> str:
    """Answer the last of what the person said, knowing what they said before.

    Args:
        said: The person's turns, oldest first.
        now: The time where the agent runs.
    """
    turns = [Turn(text) for text in said if text.strip()]
    if not turns:
        return "I'm listening."
    last, before = turns[-1], turns[:-1]
    for answer in _ANSWERS:
        text = answer(last, before, now)
        if text:
            return text
    return _listens(last, before)


def _greets(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    greeting = re.match(
        r"^(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))"
        r"(?: there| agent| assistant| everyone)?$",
        last.plain,
    )
    if greeting or re.match(r"^(?:hello|hi|hey)(?: there)? (?:how are you|what'?s up)", last.plain):
        part = "morning" if now.hour < 12 else "afternoon" if now.hour < 18 else "evening"
        return f"Good {part}! What would you like to talk about?"
    if re.match(r"^how (?:are|is) (?:you|it going)|^how do you do|^what'?s up", last.plain):
        return "I'm well, thank you, and listening. How are you?"
    if re.match(r"^(?:good ?bye|bye|see you|good night|farewell|that'?s all)\b", last.plain):
        return "Goodbye! It was good to talk with you."
    if re.match(r"^(?:thanks?|thank you|cheers|many thanks)\b", last.plain):
        return "You're welcome."
    return None


def _introduces(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    if re.search(r"\bwhat can you do\b|^help\b|\bcan you help\b|\bwhat are you able\b", last.plain):
        return _ABLE
    if re.match(r"^(?:who|what) are you|^what(?:'s| is) your name|^tell me about you", last.plain):
        return "I'm the voice agent that comes with VoxQL. " + _ABLE
    if re.search(r"\b(?:can|do) you (?:hear|understand|read) me\b", last.plain):
        return "Yes, I can. Go on."
    if name := re.match(rf"^(?:my name is|my name's|i am called|call me) {_NAME}$", last.plain):
        return f"Nice to meet you, {name[1].title()}."
    if re.search(r"\bwhat(?:'s| is) my name\b|\bwho am i\b", last.plain):
        for turn in reversed(before):
            name = re.search(rf"(?:my name is|my name's|call me) {_NAME}$", turn.plain)
            if name:
                return f"You said your name is {name[1].title()}."
        return "You haven't told me your name yet."
    return None


def _tells_time(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    plain = last.plain
    if re.search(
        r"\bwhat(?:'s| is)? (?:the )?time\b(?! (?:do|did|does|will|is (?!it|now)|was))"
        r"|\btell me the time\b|\bwhat time is it\b|\b(?:have|got) the time\b",
        plain,
    ):
        hour = now.hour % 12 or 12
        return f"It is {hour}:{now.minute:02} {'AM' if now.hour < 12 else 'PM'}."
    asks = r"(?:what(?:'s| is| was| will be)?|which|tell me)"
    day = re.search(rf"\b{asks}(?: the| today's| tomorrow's)?.*\b(?:date|day)\b", plain)
    if day and not re.search(r"\bday (?:did|do|does)\b|\bbirthday\b|\byour day\b", plain):
        return _date(plain, now)
    if re.search(rf"\b{asks}(?: the)? (?:current )?year\b", plain):
        return f"It is {now.year}."
    if re.search(rf"\b{asks}(?: the)? (?:current )?month\b", plain):
        return f"It is {now:%B}."
    return None


def _date(plain: str, now: datetime) -> str:
    shift, word = 0, "Today is"
    if "tomorrow" in plain:
        shift, word = 1, "Tomorrow is"
    elif "yesterday" in plain:
        shift, word = -1, "Yesterday was"
    day = now + timedelta(days=shift)
    return f"{word} {day:%A}, {day:%B} {day.day}, {day.year}."


def _calculates(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    found = find_sum(last.plain)
    if found is None:
        return None
    return found.problem if found.value is None else f"That is {in_words(found.value)}."


def _repeats(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    wish = re.match(
        r"^\W*(?:(?:can|could|would|will) you )?(?:please )?"
        r"(?:repeat after me|say after me|repeat the words|say the words)\b[\s,:.\"]*(.*)$",
        last.text,
        re.IGNORECASE | re.DOTALL,
    )
    if wish:
        words = wish[1].strip().strip('"\u201c\u201d').rstrip("?")
        return sentence(words) if words else "All right: tell me what to repeat."
    if before and re.search(r"^(?:repeat|say) after me$", before[-1].plain):
        return sentence(last.text)
    asked = re.search(
        r"\bwhat (?:did|have) i (?:just )?(?:say|said)\b|\brepeat (?:that|what i said|it)\b"
        r"|\bsay (?:that|it) (?:again|back)\b|\bwhat was the last thing i said\b",
        last.plain,
    )
    if asked:
        return (
            f"You said {quoted(before[-1].text)}" if before else "You haven't said anything before."
        )
    return None


def _sums_up(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    if not re.search(
        r"\bsum(?:med)? (?:it |that |this |everything )?(?:all )?up\b|\bsummar(?:y|i[sz]e)\b"
        r"|\bwhat (?:did|have) (?:you hear|you heard|we talk|we talked|i told|i tell)\b"
        r"|\bwhat have we\b",
        last.plain,
    ):
        return None
    heard = [turn for turn in before if len(turn.plain.split()) > 2][-4:]
    if not heard:
        return "There is nothing to sum up yet. Tell me something first."
    points = [gist(turn.text) for turn in heard]
    first = "So far you spoke " if points[0].startswith("about") else "So far you said "
    told = first + "; then ".join(points)
    return told if told.endswith(('"', ".")) else f"{told}."


def _declines(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    for pattern, deed in _CANNOT.items():
        if re.search(pattern, last.plain) and (
            last.is_question or re.match(r"^(?:please |can |could )?\w+", last.plain)
        ):
            if _is_told(last):
                continue
            return f"I can't {deed}. {_ABLE}"
    return None


def _is_told(turn: Turn) -> bool:
    """Whether somebody tells of something rather than asks for it: "I called my brother"."""
    told = re.match(
        r"^(?:i|we|he|she|they|it|the|my|our|his|her|their|yesterday|there)\b", turn.plain
    )
    return (
        bool(told) and not turn.is_question and not re.match(r"^i (?:want|need|would)", turn.plain)
    )


def _reacts(last: Turn, before: Sequence[Turn], now: datetime) -> str | None:
    if re.match(r"^(?:yes|yeah|yep|sure|right|exactly|of course|okay|ok)$", last.plain):
        return "All right. Go on, I'm listening."
    if re.match(r"^(?:no|nope|not really|never mind|forget it)$", last.plain):
        return "All right, never mind."
    if re.match(r"^(?:stop|be quiet|quiet|silence|shut up|wait|hold on|pause)\b", last.plain):
        return "All right."
    return None


def _listens(last: Turn, before: Sequence[Turn]) -> str:
    """Show that something was heard; in turns, so that it doesn't sound like a machine stuck."""
    point = gist(last.text)
    is_about = point.startswith("about")
    if last.is_question or _REQUEST.match(last.plain):
        more = _ABLE if len(before) < 3 else "Ask me what I can do."
        return f"You asked {point}{'.' if is_about else ''} I don't know that. {more}"
    more = ("Go on, I'm listening.", "I'm with you. What else?", "I see. Tell me more.")[
        len(before) % 3
    ]
    return f"You spoke {point}. {more}" if is_about else f"You said {point} {more}"


_REQUEST: Final = re.compile(r"^(?:tell|explain|describe|show|give|teach|name|list|define)\b")
_ANSWERS: Final = (
    _repeats,
    _greets,
    _introduces,
    _calculates,
    _tells_time,
    _sums_up,
    _reacts,
    _declines,
)
