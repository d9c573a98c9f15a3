"""How words get the segment id under which the room shows them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agent_bridge.attaching.agent import AgentWords
from agent_bridge.attaching.person import PersonWords
from agent_bridge.protocol import Utterance

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Told:
    """The reported utterances, newest last."""

    def __init__(self) -> None:
        self.utterances: list[Utterance] = []
        self._changed = asyncio.Event()

    def take(self, utterance: Utterance) -> None:
        self.utterances.append(utterance)
        self._changed.set()

    @property
    def brief(self) -> list[tuple[str, str, bool]]:
        return [(said.segment, said.text, said.final) for said in self.utterances]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def heard(words: PersonWords, text: str, final: bool = False) -> None:
    words.on_heard(text, final, NOW, None, None)


async def test_a_stretch_of_speech_has_the_name_of_the_room() -> None:
    """The first words wait for the room's name, later ones don't; a final ends the segment."""
    told = Told()
    words = PersonWords(told.take, lambda: True)

    heard(words, "good")
    assert told.utterances == []
    words.on_shown("SG_1")
    heard(words, "good morning")
    words.on_shown("SG_1")
    heard(words, "Good morning.", final=True)
    words.on_shown("SG_1")
    heard(words, "Good morning.", final=True)
    words.on_shown("SG_2")

    assert told.brief == [
        ("SG_1", "good", False),
        ("SG_1", "good morning", False),
        ("SG_1", "Good morning.", True),
        ("SG_2", "Good morning.", True),
    ]


async def test_names_that_come_late_go_to_whom_they_belong() -> None:
    """Late names are assigned in the order of speech; only the newest state is reported."""
    told = Told()
    words = PersonWords(told.take, lambda: True)

    heard(words, "one")
    heard(words, "one", final=True)
    heard(words, "two")
    words.on_shown("SG_1")
    words.on_shown("SG_1")
    words.on_shown("SG_2")

    assert told.brief == [("SG_1", "one", True), ("SG_2", "two", False)]


async def test_without_a_room_words_wait_for_nothing() -> None:
    """Without a room, each segment gets a name of its own."""
    told = Told()
    words = PersonWords(told.take, lambda: False)

    heard(words, "a")
    heard(words, "a b", final=True)
    heard(words, "c")

    first, second, third = told.utterances
    assert first.segment == second.segment != third.segment
    assert all(said.segment.startswith("seg_") for said in told.utterances)


async def test_an_agent_that_shows_nothing_delays_its_first_words_only() -> None:
    """The first words are reported after a while; from then on nothing waits."""
    told = Told()
    words = PersonWords(told.take, lambda: True)

    heard(words, "a")
    heard(words, "a b", final=True)
    await told.until(lambda: told.utterances)
    heard(words, "c")

    assert [(text, final) for _, text, final in told.brief] == [("a b", True), ("c", False)]


async def test_a_lost_room_names_nothing_and_takes_no_later_name_away() -> None:
    """Waiting words get a name of their own; words said after the reconnect get the room's."""
    told = Told()
    connected = True
    words = PersonWords(told.take, lambda: connected)

    heard(words, "lost")
    connected = False
    words.settle()
    heard(words, "lost words", final=True)
    connected = True
    heard(words, "found")
    words.on_shown("SG_2")

    lost = told.utterances[0].segment
    assert lost.startswith("seg_")
    assert told.brief == [
        (lost, "lost", False),
        (lost, "lost words", True),
        ("SG_2", "found", False),
    ]


async def test_what_was_not_settled_is_at_the_end() -> None:
    """An interim becomes a final; words without a room name are reported anyway."""
    told = Told()
    words = PersonWords(told.take, lambda: True)

    heard(words, "so far")
    words.finish()

    assert [(text, final) for _, text, final in told.brief][-1] == ("so far", True)


async def test_speech_begins_when_the_voice_does() -> None:
    """The start is the voice's, not the later first words'."""
    told = Told()
    words = PersonWords(told.take, lambda: False)

    words.on_voice(NOW - timedelta(seconds=1))
    heard(words, "a", final=True)
    heard(words, "b")

    assert [said.started_at for said in told.utterances] == [NOW - timedelta(seconds=1), NOW]
    assert told.utterances[0].ended_at == NOW


async def test_a_question_that_is_recognised_after_its_answer_has_its_own_time() -> None:
    """Speech-to-speech models answer first; the person may even speak again before that."""
    told = Told()
    words = PersonWords(told.take, lambda: False)
    asked, again = NOW - timedelta(seconds=9), NOW - timedelta(seconds=2)

    words.on_voice(asked)
    words.on_answer()
    words.on_voice(again)
    heard(words, "What time is it?", final=True)
    heard(words, "And the date?", final=True)

    assert [said.started_at for said in told.utterances] == [asked, again]


async def test_a_voice_without_words_is_forgotten() -> None:
    """A cough before an unprompted reply does not date a question half a minute later."""
    told = Told()
    words = PersonWords(told.take, lambda: False)

    words.on_voice(NOW - timedelta(seconds=40))
    words.on_answer()
    words.on_voice(NOW - timedelta(seconds=1))
    heard(words, "What time is it?", final=True)

    assert [said.started_at for said in told.utterances] == [NOW - timedelta(seconds=1)]


def test_a_reply_grows_and_is_settled_by_the_history() -> None:
    """A reply grows word by word; its final says whether it was interrupted."""
    told = Told()
    words = AgentWords(told.take)
    began = datetime.now(UTC)

    words.on_shown("SG_1", "You")
    words.on_shown("SG_1", "You said")
    words.on_replied("You said", True, began, written=False)
    words.on_done("SG_1")

    assert told.brief == [
        ("SG_1", "You", False),
        ("SG_1", "You said", False),
        ("SG_1", "You said", True),
    ]
    assert told.utterances[-1].interrupted


def test_the_history_has_the_last_word_on_a_reply_that_was_cut_off() -> None:
    """A word that the room shows after the interruption changes neither text nor flag."""
    told = Told()
    words = AgentWords(told.take)
    began = datetime.now(UTC)

    words.on_shown("SG_1", "a b")
    words.on_replied("a b", True, began, written=False)
    words.on_shown("SG_1", "a b c")
    words.on_done("SG_1")

    assert told.brief == [("SG_1", "a b", False), ("SG_1", "a b", True)]
    assert told.utterances[-1].interrupted


def test_a_reply_that_was_shown_in_full_is_settled_once() -> None:
    """The end of the stream makes the reply final; the history adds nothing."""
    told = Told()
    words = AgentWords(told.take)
    began = datetime.now(UTC)

    words.on_shown("SG_1", "All of it.")
    words.on_done("SG_1")
    words.on_replied("All of it.", False, began, written=False)

    assert told.brief == [("SG_1", "All of it.", False), ("SG_1", "All of it.", True)]


def test_an_interruption_is_told_even_of_what_was_shown_in_full() -> None:
    """The same final is reported again with the flag."""
    told = Told()
    words = AgentWords(told.take)
    began = datetime.now(UTC)

    words.on_shown("SG_1", "All of")
    words.on_done("SG_1")
    words.on_replied("All of", True, began, written=False)

    assert [(said.final, said.interrupted) for said in told.utterances] == [
        (False, False),
        (True, False),
        (True, True),
    ]


def test_what_the_room_missed_comes_from_the_history() -> None:
    """The history supplies a whole reply, or the end of one."""
    told = Told()
    words = AgentWords(told.take)

    words.on_replied("Nobody saw this.", False, datetime.now(UTC), written=True)
    words.on_shown("SG_1", "The room")
    words.on_replied("The room was lost.", False, datetime.now(UTC), written=False)

    assert [(text, final) for _, text, final in told.brief] == [
        ("Nobody saw this.", True),
        ("The room", False),
        ("The room was lost.", True),
    ]
    assert [said.source for said in told.utterances] == ["TYPED", "SPEECH", "SPEECH"]
    assert told.utterances[0].segment.startswith("seg_")


def test_a_reply_in_several_parts_is_told_in_its_parts() -> None:
    """The parts are those of the room; only the last can be interrupted."""
    told = Told()
    words = AgentWords(told.take)
    began = datetime.now(UTC)

    words.on_shown("SG_1", "First.")
    words.on_done("SG_1")
    words.on_shown("SG_2", "Sec")
    words.on_replied("First.Sec", True, began, written=False)

    finals = [said for said in told.utterances if said.final]
    assert [(said.segment, said.text, said.interrupted) for said in finals] == [
        ("SG_1", "First.", False),
        ("SG_2", "Sec", True),
    ]


def test_what_was_said_aside_is_not_taken_for_the_next_reply() -> None:
    """A line outside the history is not matched with a later reply that the room missed."""
    told = Told()
    words = AgentWords(told.take)

    words.on_shown("SG_1", "One moment.")
    words.on_done("SG_1")
    words.on_replied("Here it is.", False, datetime.now(UTC) + timedelta(minutes=1), written=False)

    assert [text for _, text, final in told.brief if final] == ["One moment.", "Here it is."]


def test_a_reply_that_the_end_of_the_conversation_cuts_off_is_marked() -> None:
    """The reply's stream closes like a complete one, and nothing may follow."""
    told = Told()
    words = AgentWords(told.take)

    words.on_shown("SG_1", "I")
    words.stop()
    words.on_done("SG_1")
    words.finish(is_cut_off=True)

    assert told.brief == [("SG_1", "I", False), ("SG_1", "I", True)]
    assert told.utterances[-1].interrupted


def test_a_reply_that_a_lost_room_cuts_off_is_marked() -> None:
    """livekit-agents closes the stream, and leaves the unheard reply out of the history."""
    told = Told()
    words = AgentWords(told.take)

    words.on_shown("SG_1", "You said: once upon")
    words.on_done("SG_1")
    words.finish(is_cut_off=True)

    assert [(said.final, said.interrupted) for said in told.utterances] == [
        (False, False),
        (True, False),
        (True, True),
    ]


def test_what_an_agent_says_before_it_hangs_up_is_not_cut_off() -> None:
    """The agent may leave its good-bye out of the history."""
    told = Told()
    words = AgentWords(told.take)

    words.on_shown("SG_1", "Good bye.")
    words.on_done("SG_1")
    words.finish(is_cut_off=False)

    assert told.brief[-1] == ("SG_1", "Good bye.", True)
    assert not told.utterances[-1].interrupted


def test_a_reply_that_was_said_in_full_when_the_conversation_ended_is_not() -> None:
    """The history confirms the whole reply after its stream was closed."""
    told = Told()
    words = AgentWords(told.take)
    began = datetime.now(UTC)

    words.on_shown("SG_1", "Good bye.")
    words.stop()
    words.on_done("SG_1")
    words.on_replied("Good bye.", False, began, written=False)

    assert [(said.final, said.interrupted) for said in told.utterances] == [
        (False, False),
        (True, True),
        (True, False),
    ]


def test_what_never_became_a_reply_is_settled_at_the_end() -> None:
    """Everything that was shown becomes final."""
    told = Told()
    words = AgentWords(told.take)

    words.on_shown("SG_1", "I was about")
    words.finish(is_cut_off=True)

    assert told.brief[-1] == ("SG_1", "I was about", True)
    assert told.utterances[-1].interrupted


def test_a_reply_that_waits_for_a_lost_room_has_its_name_already() -> None:
    """A reply is announced before it is shown; a later announcement belongs to the next reply."""
    told = Told()
    words = AgentWords(told.take)

    words.on_shown("SG_1", "")
    words.on_shown("SG_2", "")
    words.on_replied("First.", False, datetime.now(UTC), written=False)
    words.on_replied("Second.", False, datetime.now(UTC), written=False)
    for segment, text in (("SG_1", "First."), ("SG_2", "Second.")):
        words.on_shown(segment, text)
        words.on_done(segment)
    words.finish(is_cut_off=True)

    assert told.brief == [("SG_1", "First.", True), ("SG_2", "Second.", True)]
