"""The built-in demo's answers."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.demo.arithmetic import find_sum, in_digits, numbers_from_words
from agent.demo.responder import ABLE, GREETING, respond
from tests.processor import processor_time
from tests.programs.server_process import ROOT

NOW = datetime(2026, 11, 22, 15, 42, tzinfo=UTC)
HELLO = "Hello! Ask me for the time, the date or a sum."
TIME = "It's 3:42 in the afternoon."
TODAY = "Today is Sunday, November 22, 2026."
TOMORROW = "Tomorrow is Monday, November 23, 2026."
NO_ANSWER = "I can't answer that: I'm only a demo."
NO_DEED = "I can't do that: I'm only a demo."
UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("", "I didn't catch that."),
        # Small talk.
        ("Hello.", HELLO),
        ("Um, hello there!", HELLO),
        ("Good morning!", HELLO),
        ("Hello, how are you?", "I'm fine, thank you!"),
        ("How's it going?", "I'm fine, thank you!"),
        ("Thank you.", "You're welcome."),
        ("Thanks a lot", "You're welcome."),
        ("Goodbye.", "Goodbye!"),
        ("Can you hear me?", "Yes, I can."),
        ("Stop!", "OK."),
        ("Never mind.", "OK."),
        # What it is.
        ("What can you do?", ABLE),
        ("Who are you?", ABLE),
        ("Help", ABLE),
        ("How do I connect a model?", ABLE),
        # Time and date.
        ("What time is it?", TIME),
        ("what\u2019s the time", TIME),
        ("Can you tell me the time, please?", TIME),
        ("Do you have the time?", TIME),
        ("What's the date?", TODAY),
        ("What day is it today?", TODAY),
        ("What's today's date?", TODAY),
        ("What day is it tomorrow?", TOMORROW),
        ("What's tomorrow's date?", TOMORROW),
        ("What day was yesterday?", "Yesterday was Saturday, November 21, 2026."),
        ("What year is it?", "It's 2026."),
        ("What month is it?", "It's November."),
        # Sums.
        ("What is twelve times seven?", "That's 84."),
        ("Twelve times seven", "That's 84."),
        ("What's 12 times 7?", "That's 84."),
        ("Okay, what is two hundred and five plus one thousand?", "That's 1,205."),
        ("What is seven divided by three?", "That's about 2.3333."),
        ("Half of nine", "That's 4.5."),
        ("How much is twenty percent of fifty?", "That's 10."),
        ("How much is ten divided by zero?", "I can't divide by zero."),
        ("Nine to the power of a million", "That number is too big for me."),
        ("The square root of minus one", "That sum has no answer."),
        # Repeating.
        ("Repeat after me, the quick brown fox.", "The quick brown fox."),
        ("Can you repeat after me: good morning everyone?", "Good morning everyone."),
        ("Repeat after me.", "OK. What shall I repeat?"),
        ("repeat after me: \U0001f389 Prost!", "\U0001f389 Prost!"),
        ("What did I say?", "You haven't said anything yet."),
        # Everything else.
        ("Ten of clubs.", "I heard: \u201cTen of clubs\u201d."),
        ("My name is Ada.", "I heard: \u201cMy name is Ada\u201d."),
        ("What a lovely day!", "I heard: \u201cWhat a lovely day!\u201d"),
        ("The time of my life", "I heard: \u201cThe time of my life\u201d."),
        ("Really?!", "I heard: \u201cReally?!\u201d"),
        ("Wait for it...", "I heard: \u201cWait for it...\u201d"),
        ('She said "go."', 'I heard: \u201cShe said "go."\u201d'),
        ("one,\n two ,", "I heard: \u201cone, two\u201d."),
        ("555-1234", "I heard: \u201c555-1234\u201d."),
        ("2026-11-22", "I heard: \u201c2026-11-22\u201d."),
        ("Why is the sky blue?", f"I heard: \u201cWhy is the sky blue?\u201d {NO_ANSWER}"),
        ("why is the sky blue", f"I heard: \u201cwhy is the sky blue\u201d. {NO_ANSWER}"),
        ("What time did he leave?", f"I heard: \u201cWhat time did he leave?\u201d {NO_ANSWER}"),
        ("Tell me a joke.", f"I heard: \u201cTell me a joke\u201d. {NO_DEED}"),
        ("Set a timer.", f"I heard: \u201cSet a timer\u201d. {NO_DEED}"),
        (
            "Could you water the plants?",
            f"I heard: \u201cCould you water the plants?\u201d {NO_DEED}",
        ),
        # Other scripts, and emoji.
        ("\u4f60\u597d\u3002", "I heard: \u201c\u4f60\u597d\u3002\u201d"),
        ("\u0645\u0631\u062d\u0628\u0627", "I heard: \u201c\u0645\u0631\u062d\u0628\u0627\u201d."),
        ("\u00bfQu\u00e9 hora es?", f"I heard: \u201c\u00bfQu\u00e9 hora es?\u201d {NO_ANSWER}"),
        ("\u0930\u093e\u092e\u0964", "I heard: \u201c\u0930\u093e\u092e\u0964\u201d"),
        ("Great \U0001f389", "I heard: \u201cGreat \U0001f389\u201d."),
    ],
)
def test_what_it_answers(said: str, answer: str) -> None:
    """The answers are exact: to known requests, and what was heard to anything else."""
    assert respond([said], NOW) == answer


@pytest.mark.parametrize(
    ("hour", "minute", "answer"),
    [
        (0, 0, "It's midnight."),
        (0, 5, "It's 12:05 in the morning."),
        (9, 0, "It's 9 o'clock in the morning."),
        (12, 0, "It's noon."),
        (12, 1, "It's 12:01 in the afternoon."),
        (18, 30, "It's 6:30 in the evening."),
        (23, 59, "It's 11:59 at night."),
    ],
)
def test_how_it_tells_the_time(hour: int, minute: int, answer: str) -> None:
    """The time is told as people say it."""
    assert respond(["What time is it?"], NOW.replace(hour=hour, minute=minute)) == answer


def test_it_tells_the_time_of_where_it_runs() -> None:
    """When it is a quarter to four in the afternoon in London, it is tomorrow in Auckland."""
    there = NOW.astimezone(timezone(timedelta(hours=13)))
    assert respond(["What time is it?"], there) == "It's 4:42 in the morning."
    assert respond(["What day is it?"], there) == "Today is Monday, November 23, 2026."


def test_the_answers_in_the_documentation_are_its_own() -> None:
    """docs/agents.md has the answers word for word."""
    chapter = (ROOT / "docs" / "agents.md").read_text().partition("A language model")[0]
    rows = re.findall(r"^\| (\S.*?) \| (\S.*?)(?: \(Where .*\))? \|$", chapter, re.MULTILINE)
    assert rows[2] == ("nothing yet", GREETING)
    assert len(rows) > 8
    for said, answer in rows[3:]:
        assert respond([said], NOW) == answer


def test_it_knows_what_was_said_last() -> None:
    """It remembers only the previous line."""
    assert respond(["Hello.", "I like tea.", "What did I say?"], NOW) == (
        "You said: \u201cI like tea\u201d."
    )
    assert respond(["Repeat after me.", "the sky is blue"], NOW) == "The sky is blue."


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "And Mr. John Dashwood had then leisure to consider how much there might be prudently "
            "in his power to do for them.",
            "And Mr. John Dashwood had then leisure to consider how much there might be",
        ),
        ("\u5b57" * 100, "\u5b57" * 79),
        ("\U0001f1e9\U0001f1ea" * 60, "\U0001f1e9\U0001f1ea" * 39),
        (
            "\U0001f469\u200d\U0001f467" * 60,
            "\U0001f469\u200d\U0001f467" * 26,
        ),
        ("o\u0308" * 60, "o\u0308" * 39),
    ],
)
def test_what_is_long_is_cut(said: str, kept: str) -> None:
    """The cut is at a word, or between two user-perceived characters."""
    assert respond([said], NOW) == f"I heard: \u201c{kept}\u2026\u201d"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("twelve times seven", "84"),
        ("what is 2 + 2", "4"),
        ("3.5 * (2 + 1)", "10.5"),
        ("one hundred twenty-three minus 24", "99"),
        ("two million plus one", "2,000,001"),
        ("3 million plus two", "3,000,002"),
        ("two point five million times two", "5,000,000"),
        ("a trillion minus one", "999,999,999,999"),
        ("three point one four times two", "6.28"),
        ("point five times two", "1"),
        ("the square root of one hundred and forty-four", "12"),
        ("two to the power of ten", "1,024"),
        ("fifteen squared", "225"),
        ("twenty percent of fifty", "10"),
        ("two hundred plus ten percent", "220"),
        ("half of nine", "4.5"),
        ("a quarter of a hundred", "25"),
        ("one third of nine", "3"),
        ("minus five plus two", "-3"),
        ("negative five times negative five", "25"),
        ("two plus three times four", "14"),
        ("the sum of five and six", "11"),
        ("the product of twenty and five", "100"),
        ("subtract three from ten", "7"),
        ("divide ninety by nine", "10"),
        ("7 x 8", "56"),
        ("1,250 minus 50", "1,200"),
        ("ten divided by three", "about 3.3333"),
        ("0.1 + 0.2", "0.3"),
        ("what does two plus two equal?", "4"),
    ],
)
def test_sums(text: str, value: str) -> None:
    """Sums in words, digits or both have the usual precedence, and are exact where possible."""
    found = find_sum(text)
    assert found is not None
    assert found.value is not None
    assert in_digits(found.value) == value


@pytest.mark.parametrize(
    "text",
    [
        *("what is 5?", "five, five", "ten of clubs", "hello", "", "over", "one plus", "24/7"),
        *("((((1", "-" * 290, "(" * 290 + "-1", "1 + " * 1000 + "1"),
    ],
)
def test_what_is_no_sum(text: str) -> None:
    """A number alone is not a request, nor is an implausible sum."""
    assert find_sum(text) is None


@pytest.mark.parametrize("text", ["9^9^9", "ten to the power of a million", "5 % 0 / 0", "sqrt -1"])
def test_sums_without_an_answer_end_soon(text: str) -> None:
    """Such sums neither crash nor take long."""
    found = find_sum(text)
    assert found is None or (found.value is None and found.problem.endswith("."))


@given(st.integers(0, 999_999_999))
def test_number_words_are_read_back(number: int) -> None:
    """Any number that is spelled out is recognised."""
    assert numbers_from_words(spelled(number)) == str(number)


@given(st.text())
def test_it_always_has_an_answer_that_ends_once(text: str) -> None:
    """Any text gets a sentence, without two full stops at its end."""
    answer = respond([text], NOW)
    assert answer.strip()
    assert not answer.endswith(("..", "?.", "!.", "\u201d.."))


@pytest.mark.parametrize(
    "piece", ["x", ".", "hello ", "- ", "um ", "\u5b57", "1 + ", "a, ", "\u0308"]
)
def test_a_long_line_is_answered_at_once(piece: str) -> None:
    """A typed line may have 32 KiB."""
    with processor_time() as spent:
        assert len(respond([piece * (32_768 // len(piece.encode())) + "x"], NOW)) < 200
    assert spent.seconds < 0.5


def spelled(number: int) -> str:
    if number < 20:
        return UNITS[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" and {spelled(number % size)}" if number % size else ""
            return f"{spelled(number // size)} {name}{rest}"
    raise AssertionError
