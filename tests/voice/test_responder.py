"""What the built-in responder answers."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_bridge.agent.arithmetic import TENS, UNITS, find_sum, in_words, numbers_from_words
from agent_bridge.agent.responder import respond

NOW = datetime(2026, 11, 22, 17, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Hello.", "Good afternoon! What would you like to talk about?"),
        ("Um, hello there!", "Good afternoon! What would you like to talk about?"),
        ("How are you?", "I'm well, thank you, and listening. How are you?"),
        ("Thank you.", "You're welcome."),
        ("Goodbye.", "Goodbye! It was good to talk with you."),
        ("What time is it?", "It is 5:05 PM."),
        ("Can you tell me the time, please?", "It is 5:05 PM."),
        ("What's the date?", "Today is Sunday, November 22, 2026."),
        ("What day is it today?", "Today is Sunday, November 22, 2026."),
        ("What day is it tomorrow?", "Tomorrow is Monday, November 23, 2026."),
        ("What day was yesterday?", "Yesterday was Saturday, November 21, 2026."),
        ("What year is it?", "It is 2026."),
        ("What month is it?", "It is November."),
        ("What is twelve times seven?", "That is 84."),
        ("Twelve times seven", "That is 84."),
        ("What's 12 times 7?", "That is 84."),
        ("Okay, what is two hundred and five plus one thousand?", "That is 1,205."),
        ("What is seven divided by three?", "That is about 2.3333."),
        ("How much is ten divided by zero?", "Nothing can be divided by zero."),
        ("Repeat after me, the quick brown fox.", "The quick brown fox."),
        ("Can you repeat after me: good morning everyone?", "Good morning everyone."),
        ("What did I say?", "You haven't said anything before."),
        ("My name is Ada.", "Nice to meet you, Ada."),
        ("What is my name?", "You haven't told me your name yet."),
        ("Sum up what I said.", "There is nothing to sum up yet. Tell me something first."),
        ("Yes.", "All right. Go on, I'm listening."),
        ("Never mind.", "All right, never mind."),
        ("Can you hear me?", "Yes, I can. Go on."),
        ("", "I'm listening."),
    ],
)
def test_what_it_can_do(said: str, answer: str) -> None:
    """Greetings, time, date, sums, repeating: the exact words."""
    assert respond([said], NOW) == answer


@pytest.mark.parametrize(
    ("said", "deed"),
    [
        ("What's the weather like tomorrow?", "look up the weather"),
        ("Can you play some music?", "play music"),
        ("Set a timer for five minutes.", "set timers or reminders"),
        ("Please call my mother.", "make phone calls"),
        ("Send an email to Bob.", "send messages"),
        ("Tell me a joke.", "make up jokes or stories"),
        ("Turn on the lights.", "switch devices on or off"),
    ],
)
def test_what_it_can_not_do_it_says_plainly(said: str, deed: str) -> None:
    """And says what it can do instead."""
    answer = respond([said], NOW)
    assert answer.startswith(f"I can't {deed}. I can tell you the time")


@pytest.mark.parametrize(
    "said",
    [
        "I called my brother yesterday about the trip",
        "The weather was lovely",
        "He was not an ill-disposed young man.",
        "Ten of clubs.",
        "Go forward ten meters.",
        "Two trains left the station over the hill.",
    ],
)
def test_what_is_told_is_acknowledged_with_its_own_words(said: str) -> None:
    """Nothing is refused, calculated or looked up that was only told."""
    assert respond([said], NOW).startswith(f'You said "{said.rstrip(".")}."')


def test_a_long_story_is_acknowledged_with_its_gist() -> None:
    """A few telling words, names first, not all of it."""
    said = (
        "And Mr. John Dashwood had then leisure to consider how much there might be prudently in "
        "his power to do for them."
    )
    answer = respond([said], NOW)
    assert answer.startswith("You spoke about John Dashwood, leisure and consider.")
    assert len(answer) < 90


def test_it_remembers_what_was_said() -> None:
    """Names, the last sentence, and the gist of the last four."""
    story = ["My name is Ada Lovelace.", "I went to the market to buy apples and an umbrella."]
    assert respond([*story, "What's my name?"], NOW) == "You said your name is Ada Lovelace."
    assert respond([*story, "What did I say?"], NOW) == f'You said "{story[1]}"'
    summary = respond([*story, "Could you sum that up?"], NOW)
    assert summary.startswith('So far you said "My name is Ada Lovelace."; then about ')
    assert "umbrella" in summary
    assert respond(["Repeat after me.", "the sky is blue"], NOW) == "The sky is blue."


def test_what_it_does_not_know_it_says() -> None:
    """Without guessing, with what was asked in it, and without the long list each time."""
    first = respond(["Why is the sky blue?"], NOW)
    assert first.startswith('You asked "Why is the sky blue?" I don\'t know that. I can tell you')
    later = respond(["One.", "Two.", "Three.", "Why is the sky blue?"], NOW)
    assert later.endswith("I don't know that. Ask me what I can do.")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("twelve times seven", "84"),
        ("what is 2 + 2", "4"),
        ("3.5 * (2 + 1)", "10.5"),
        ("one hundred twenty-three minus 24", "99"),
        ("two million plus one", "2,000,001"),
        ("three point one four times two", "6.28"),
        ("the square root of one hundred and forty-four", "12"),
        ("two to the power of ten", "1,024"),
        ("fifteen squared", "225"),
        ("twenty percent of fifty", "10"),
        ("half of nine", "4.5"),
        ("one third of nine", "3"),
        ("minus five plus two", "-3"),
        ("negative five times negative five", "25"),
        ("two plus three times four", "14"),
        ("the sum of five and six", "11"),
        ("subtract three from ten", "7"),
        ("divide ninety by nine", "10"),
        ("7 x 8", "56"),
        ("1,250 minus 50", "1,200"),
        ("ten divided by three", "about 3.3333"),
        ("0.1 + 0.2", "0.3"),
    ],
)
def test_sums(text: str, value: str) -> None:
    """In words, in digits and mixed, with the usual precedence, exact where it can be."""
    found = find_sum(text)
    assert found is not None
    assert found.value is not None
    assert in_words(found.value) == value


@pytest.mark.parametrize("text", ["what is 5?", "five, five", "ten of clubs", "hello", "", "over"])
def test_what_is_no_sum(text: str) -> None:
    """A number alone asks for nothing."""
    assert find_sum(text) is None


@pytest.mark.parametrize("text", ["9^9^9", "ten to the power of a million", "5 % 0 / 0", "sqrt -1"])
def test_sums_without_an_answer_end_soon(text: str) -> None:
    """Neither a crash nor an afternoon of calculating."""
    found = find_sum(text)
    assert found is None or (found.value is None and found.problem.endswith("."))


@given(st.integers(0, 999_999_999))
def test_number_words_are_read_back(number: int) -> None:
    """Any number that is spelled out is found again."""
    assert numbers_from_words(spelled(number)) == str(number)


@given(st.text())
def test_it_always_has_an_answer(text: str) -> None:
    """Any text gets a sentence."""
    assert respond([text], NOW).strip()


def spelled(number: int) -> str:
    ones, tens = [*UNITS], [*TENS]
    if number < 20:
        return ones[number]
    if number < 100:
        return tens[number // 10 - 2] + (f"-{ones[number % 10]}" if number % 10 else "")
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" and {spelled(number % size)}" if number % size else ""
            return f"{spelled(number // size)} {name}{rest}"
    raise AssertionError
