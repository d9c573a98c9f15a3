"""The comparison of what was said with what was heard."""

import itertools

import pytest

from tests.speech.sound import recordings
from tests.speech.words import places, starts_with

SAID = "unless to be rather cold hearted and rather selfish is to be ill disposed"


@pytest.mark.parametrize(
    "heard",
    [
        "Unless to be rather cold-hearted and rather selfish, is to be ill-disposed,",
        "Unless to be rather cold-hearted and rather self-push is to be ill-disposed,",
        "Unless to be rather cold-hearted and rather selfish is to be ill-sposed. And more.",
    ],
)
def test_a_sentence_with_a_wrong_word_is_recognized(heard: str) -> None:
    """One wrong word of fourteen, or words that follow, are allowed."""
    assert starts_with(heard, SAID)


@pytest.mark.parametrize(
    "heard", ["", "Unless to be rather", "rather selfish is to be ill-disposed", "I heard: unless"]
)
def test_a_part_of_a_sentence_is_not_the_sentence(heard: str) -> None:
    """All of it must have been heard, from its start."""
    assert not starts_with(heard, SAID)


def test_no_recorded_sentence_is_taken_for_another() -> None:
    """The five recordings are told apart."""
    for one, other in itertools.permutations(recordings(), 2):
        assert not starts_with(one.text, other.text), (one.text, other.text)


def test_a_sentence_with_a_gap_is_heard_once() -> None:
    """It ends a line in the middle; a sentence that is there twice is found twice."""
    said = "he was not an ill disposed young man"
    lines = ["Good morning.", "He was not.", "And he'll dispose young men,", "Thank you."]

    assert places(said, lines) == [1]
    assert places(said, [*lines, "He was not an ill-sposed young man."]) == [1, 4]
    assert places(said, ["Good morning.", "He was not."]) == []


def test_a_short_line_before_a_sentence_is_not_a_part_of_it() -> None:
    """Although all three lines together differ from it only as much as is allowed."""
    said = "and mister john dashwood had then leisure"
    lines = ["Oh.", "Thank you.", "And Mr. John Dashwood had then leisure to consider how much"]

    assert starts_with(" ".join(lines[1:]), said)
    assert places(said, lines) == [2]
