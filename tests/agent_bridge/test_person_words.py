"""Start times of a person's words, even if a sound had no words or words come late."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from agent_bridge.attaching.person import PersonWords
from agent_bridge.protocol import Utterance

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Talk:
    """Feeds a session's events, at times in seconds, and records the resulting starts."""

    def __init__(self) -> None:
        self._told: list[Utterance] = []
        self._words = PersonWords(self._told.append, lambda: False)

    def voice(self, at: float) -> None:
        self._words.on_voice(NOON + timedelta(seconds=at))

    def answer(self) -> None:
        self._words.on_answer()

    def heard(self, at: float, final: bool = True) -> None:
        self._words.on_heard("words", final, NOON + timedelta(seconds=at), None, None)

    def turns(self, *starts: float) -> None:
        """Let the person speak, be recognised a second later, and be answered."""
        for start in starts:
            self.voice(start)
            self.heard(start + 1)
            self.answer()

    @property
    def starts(self) -> list[float]:
        return [(said.started_at - NOON).total_seconds() for said in self._told]


@pytest.fixture
async def talk() -> Talk:
    """A session without any event."""
    return Talk()


@dataclass
class Clock:
    """The loop's clock, which a test advances."""

    now: float


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock stands still until a test advances it."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    monkeypatch.setattr(loop, "time", lambda: clock.now)
    return clock


async def test_a_cough_does_not_misdate_the_turns_after_it(talk: Talk) -> None:
    """Somebody coughs before the agent speaks unprompted."""
    talk.voice(0)
    talk.answer()
    talk.turns(10, 20, 30)

    assert talk.starts == [10, 20, 30]


async def test_two_coughs_do_not_either(talk: Talk) -> None:
    """The agent speaks after each of them."""
    for at in (0, 2):
        talk.voice(at)
        talk.answer()
    talk.turns(13, 23)

    assert talk.starts == [13, 23]


async def test_a_cough_after_the_answer_is_forgotten_when_words_come(talk: Talk) -> None:
    """It does not matter whether the agent speaks because of the cough."""
    talk.turns(0)
    talk.voice(3)
    talk.turns(5)
    talk.voice(8)
    talk.answer()
    talk.turns(20)

    assert talk.starts == [0, 5, 20]


async def test_a_cough_misdates_one_turn_at_most(talk: Talk) -> None:
    """Soon after an answer a cough looks like late words, but only once."""
    talk.voice(0)
    talk.answer()
    talk.turns(3, 6, 9, 12)

    assert talk.starts == [0, 6, 9, 12]


async def test_of_two_coughs_the_second_misdates_nothing_more(talk: Talk) -> None:
    """Once words follow a newer voice, no older voice is waited for."""
    for at in (0, 2):
        talk.voice(at)
        talk.answer()
    talk.turns(4, 7, 10)

    assert talk.starts == [0, 7, 10]


async def test_words_after_the_answer_began_with_their_own_voice(talk: Talk) -> None:
    """Models that answer before recognition do so at every turn, and no voice is forgotten."""
    for start in (0, 10, 20):
        talk.voice(start)
        talk.answer()
        talk.heard(start + 4)

    assert talk.starts == [0, 10, 20]


async def test_words_after_a_newer_voice_began_with_their_own(talk: Talk) -> None:
    """The person interrupts before the question is recognised; the interruption is late too."""
    talk.voice(0)
    talk.answer()
    talk.voice(3)
    talk.heard(4)
    talk.answer()
    talk.heard(7)
    talk.turns(20)

    assert talk.starts == [0, 3, 20]


async def test_a_long_question_is_still_recognised_after_its_answer(
    talk: Talk, clock: Clock
) -> None:
    """The limit counts from the answer, not from the voice."""
    talk.voice(0)
    clock.now += 40
    talk.answer()
    talk.heard(44)

    assert talk.starts == [0]


async def test_words_long_after_the_answer_are_not_what_it_answered(
    talk: Talk, clock: Clock
) -> None:
    """No voice was detected for them, so they start when they are heard."""
    talk.voice(0)
    clock.now += 1
    talk.answer()
    talk.heard(12)

    assert talk.starts == [12]
