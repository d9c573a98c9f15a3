"""How much of a reply was heard, and the resulting text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speaking.playout import Playout, TimedWords


def test_without_reports_sound_counts_as_played_on_arrival() -> None:
    """Sound plays in real time from when it was sent, with gaps where the voice is late."""
    playout = Playout()
    playout.took(24_000, now=10.0)
    assert playout.played(10.0, reports=False) == 0
    assert playout.played(10.5, reports=False) == 12_000
    assert playout.played(20.0, reports=False) == 24_000
    playout.took(24_000, now=20.0)
    assert playout.lead(20.0) == pytest.approx(1.0)
    assert playout.played(20.5, reports=False) == 36_000


def test_reports_only_grow_and_never_exceed_what_was_sent() -> None:
    """A late or wrong report can't make unsent sound count as heard."""
    playout = Playout()
    playout.took(1_000, now=0.0)
    for samples, played in ((600, 600), (300, 600), (5_000, 1_000)):
        playout.report(samples, now=1.0)
        assert playout.played(1.0, reports=True) == played


@given(st.lists(st.text("ab .", min_size=1, max_size=5), max_size=8), st.integers(0, 900))
def test_what_was_heard_is_always_a_prefix(words: list[str], samples: int) -> None:
    """The heard text is a prefix that ends at a word boundary."""
    reply = TimedWords()
    for index, word in enumerate(words):
        reply.add(f" {word}", index * 100, index * 100 + 100)
    assert reply.text.startswith(reply.heard(samples))
    assert reply.heard(100 * len(words) + 1) == reply.text


def test_words_without_times_are_spread_over_the_sound() -> None:
    """A voice without timings still yields a text of about the right length."""
    reply = TimedWords()
    reply.spread("one two three four", 400)
    assert reply.heard(200) == "one two"
    assert reply.heard(400) == "one two three four"
    assert reply.heard(0) == ""


def test_markdown_without_times_is_spread_by_what_is_said_of_it() -> None:
    """An address takes no time, and no mark is lost or doubled."""
    text = "**one** [two](https://example.com/a/long/address)\n- three four"
    reply = TimedWords()
    reply.spread(text, 400)
    assert reply.heard(200) == "**one** [two](https://example.com/a/long/address)"
    assert reply.text == text
