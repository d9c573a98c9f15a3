"""Titles of conversations that nobody has renamed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.titles import LOOKED_AT, TITLE_LENGTH, title_of
from tests.processor import processor_time

LONG = "I would like to know whether the ferry to the islands still runs on Sundays in winter"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("what time is it?", "What time is it?"),
        ("Hello there.", "Hello there"),
        ("  two\n\n lines\tand  spaces \u2028 ", "Two lines and spaces"),
        ("bell\x07 and nul-like\x1f things\x85 here", "Bell and nul-like things here"),
        (LONG, "I would like to know whether the ferry to the islands still…"),
        ("one, " * 40, "One, one, one, one, one, one, one, one, one, one, one, one…"),
        ("x" * 60, "X" + "x" * 59),
        ("x" * 61, "X" + "x" * 58 + "…"),
        ("¿qué hora es?", "¿Qué hora es?"),
        ("“ßtraße” und mehr", "“Sstraße” und mehr"),
        ("привет, как дела?", "Привет, как дела?"),
        ("გამარჯობა, როგორ ხარ?", "გამარჯობა, როგორ ხარ?"),
        ("明日の天気はどうですか。", "明日の天気はどうですか"),
        ("明天天气" * 20, "明天天气" * 14 + "明天天…"),
        ("สวัสดี", "สวัสดี"),
        ("مرحبا، كيف حالك؟", "مرحبا، كيف حالك؟"),
        ("3 apples, please", "3 apples, please"),
        ("👋 hello 👩‍🔧", "👋 Hello 👩‍🔧"),
        ("turned \u202eright to left\u202c", "Turned right to left"),
    ],
)
def test_a_title_is_the_beginning_of_what_was_said(text: str, title: str) -> None:
    """A title is one line, cut after a word and capitalised, in scripts with and without spaces."""
    assert title_of(text) == title


@pytest.mark.parametrize("text", ["", "  ", "…", "?!", "👍", "- - -", " " * 2_000, "\x07\ud800"])
def test_what_has_no_word_makes_no_title(text: str) -> None:
    """A text without a word gives no title; another utterance must supply it."""
    assert title_of(text) is None


@pytest.mark.parametrize("one", ["a\u0301", "न\u0940", "👩\u200d🔧", "👍\U0001f3fe"])
def test_a_character_is_not_cut_in_two(one: str) -> None:
    """Combining marks, joined emoji and skin tones stay with their base character."""
    for before in range(40, 60):
        title = title_of("x" * before + one * 20)
        assert title is not None
        assert title.endswith("…")
        assert len(title) <= TITLE_LENGTH
        rest = title.removesuffix("…")[before:]
        assert rest == one * (len(rest) // len(one))


@given(st.text(max_size=200))
def test_every_text_makes_a_title_that_can_be_shown_or_none(text: str) -> None:
    """At most about 60 characters on one line, without control characters or outer spaces."""
    title = title_of(text)
    if title is None:
        return
    assert 1 <= len(title) <= TITLE_LENGTH + 2, "a capital may be of three letters"
    assert title == title.strip()
    assert title.splitlines() == [title]
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in title)
    assert any(c.isalnum() for c in title)


def test_of_a_very_long_text_only_the_beginning_is_looked_at() -> None:
    """Only a prefix is examined, so a typed text of 32 KiB costs little time."""
    with processor_time() as spent:
        for _ in range(100):
            assert title_of("?" * 32_768) is None
    assert spent.seconds < 1.0
    assert title_of("? " * LOOKED_AT + "word") is None
