"""Real speech goes in, and what is found again after a power cut is what was said."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.e2e.call import Call
from tests.e2e.conftest import StartSpeaking, ready
from tests.e2e.hearing import understood
from tests.e2e.microphone import Said
from tests.e2e.person import Person
from tests.e2e.player import Reply
from tests.e2e.seen import Json, Seen, joined
from tests.e2e.sound import Clip, random_words, recording, recordings
from tests.e2e.words import error_rate, normal
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(300)

LONG_S = 4.5
"""From here on a sentence is long enough for several looks at it."""


@dataclass
class Spoken:
    """What came of one clip."""

    clip: Clip
    interims: list[Seen]
    finals: list[Seen]


@dataclass
class Story:
    """Two conversations with a power cut between them, as they were seen from outside."""

    first: str
    spoken: list[Spoken]
    replies: list[Reply]
    kept: list[Json]
    """The first conversation's utterances, read from the server that came after the killed one."""
    started: Json
    """What `startNewChat` answered."""
    second: str
    second_finals: list[Seen]
    saved: Json
    history: Json


@pytest.fixture(scope="module")
def story(start_talking: StartSpeaking) -> Story:
    """Hold both conversations once on each transport, for all of these tests."""
    made = random_words(random.randrange(1_000_000))
    return asyncio.run(_happen(start_talking(), [*recordings(), made]))


async def _happen(server: ServerProcess, clips: Sequence[Clip]) -> Story:
    async with Person(server.url) as person:
        async with await person.talk() as call:
            spoken = [await _say(call, clip) for clip in clips]
            server.kill()
        await asyncio.to_thread(server.start)
        ready(server)
        person.url = server.url
        kept = await person.utterances(call.id)
        started = await person.start(previous={"sessionId": call.id, "messages": call.messages})
        async with Call(person, started) as second:
            await second.answered(second.say(recording("0880")))
            saved = await second.save()
            await second.until(lambda: second.end)
        return Story(
            call.id,
            spoken,
            call.replies,
            kept,
            started,
            second.id,
            second.finals(),
            saved,
            await person.history(),
        )


async def _say(call: Call, clip: Clip) -> Spoken:
    said: Said = call.say(clip)
    await call.answered(said)
    return Spoken(clip, call.interims(said.began), call.finals("USER", said.began))


def test_words_arrive_while_they_are_spoken(story: Story) -> None:
    """For each long sentence the browser sees three different interims or more, then the final."""
    long = [spoken for spoken in story.spoken if spoken.clip.seconds >= LONG_S]
    assert len(long) >= 3
    for spoken in long:
        first = spoken.finals[0]
        before = {seen.text for seen in spoken.interims if seen.at < first.at}
        assert len(before) >= 3, (spoken.clip.name, before)
        # A short rest, after a pause, may be final at once; but every interim becomes a final.
        keys = {seen.key for seen in spoken.interims}
        assert first.key in keys
        assert keys <= {seen.key for seen in spoken.finals}


def test_every_clip_is_answered_in_turn(story: Story) -> None:
    """The transcript is in order: what the person said, then the agent, again and again."""
    positions = [utterance["position"] for utterance in story.kept]
    assert positions == sorted(set(positions))
    roles = [utterance["role"] for utterance in story.kept]
    assert roles[0] == "USER"
    assert roles[-1] == "AGENT"
    assert roles.count("AGENT") == len(story.spoken) == len(story.replies)
    assert {utterance["source"] for utterance in story.kept} == {"SPEECH"}


def test_what_was_said_survives_a_power_cut(story: Story) -> None:
    """After SIGKILL, before anything was saved, at most 12 of 100 words are wrong or missing."""
    heard = " ".join(one["text"] for one in story.kept if one["role"] == "USER")
    said = " ".join(spoken.clip.text for spoken in story.spoken)
    rate = error_rate([said], [heard])
    print(f"\npooled word error rate: {rate:.1%}")
    assert rate <= 0.12, (said, heard)


def test_everything_the_browser_saw_as_final_is_kept(story: Story) -> None:
    """No final that was shown is missing, or another, after the power cut."""
    kept = {utterance["key"]: utterance for utterance in story.kept}
    for spoken in story.spoken:
        for seen in spoken.finals:
            assert kept[seen.key]["text"] == seen.text
            assert kept[seen.key]["isFinal"]


def test_the_agent_really_said_its_words(story: Story) -> None:
    """What the recogniser hears in the agent's voice is what stands in the transcript."""
    texts = [one["text"] for one in story.kept if one["role"] == "AGENT"]
    for text, reply in zip(texts, story.replies, strict=True):
        heard = understood(reply.heard)
        assert error_rate([text], [heard]) <= 0.2, (text, heard)


def test_new_chat_saves_the_one_before(story: Story) -> None:
    """`startNewChat` with `previous` ends and keeps it, and begins one with another id."""
    saved = story.started["saved"]
    assert saved["isSaved"]
    assert saved["session"]["id"] == story.first != story.second
    assert saved["session"]["utteranceCount"] == len(story.kept)
    assert saved["createdCount"] == 0, "the server knew every utterance already"
    assert saved["conflicts"] == []


def test_history_shows_both_newest_first(story: Story) -> None:
    """Both conversations are found again, each with as many utterances as it has."""
    assert story.saved["isSaved"]
    nodes = story.history["nodes"]
    assert [node["id"] for node in nodes] == [story.second, story.first]
    assert [node["utteranceCount"] for node in nodes] == [
        len(story.second_finals),
        len(story.kept),
    ]
    assert story.history["totalCount"] == 2
    assert nodes[1]["preview"]


def test_the_second_conversation_was_understood_too(story: Story) -> None:
    """The server that came back after the power cut hears as well as the first."""
    heard = joined([seen for seen in story.second_finals if seen.role == "USER"])
    assert error_rate([recording("0880").text], [heard]) <= 0.25, normal(heard)
