"""Transcripts of real speech survive a power cut."""

import asyncio

import pytest

from agent.demo.responder import ABLE
from tests.e2e.client.seen import Json, joined
from tests.e2e.conftest import StartSpeaking
from tests.e2e.conversation.losses import AFTER, Loss
from tests.e2e.conversation.saying import SENTENCE
from tests.e2e.conversation.story import SECOND, Story, happen
from tests.speech.hearing import understood
from tests.speech.sound import recording
from tests.speech.words import error_rate, is_beginning, letter_error_rate, normal

pytestmark = pytest.mark.timeout(420)

LONG_S = 4.5
"""A sentence of this length has several interims."""


@pytest.fixture(scope="module")
def story(start_speaking: StartSpeaking) -> Story:
    """Run the story once for all tests of this module."""
    server = start_speaking()
    return asyncio.run(happen(server))


def test_words_arrive_while_they_are_spoken(story: Story) -> None:
    """For each long sentence the browser sees at least three distinct interims before the final."""
    long = [spoken for spoken in story.spoken if spoken.clip.seconds >= LONG_S]
    assert long
    for spoken in long:
        first = spoken.heard[0]
        before = {seen.text for seen in spoken.interims if seen.at < first.at}
        assert len(before) >= 3, (spoken.clip.name, before)
        # A short rest after a pause may be final at once, but every interim becomes a final.
        keys = {seen.key for seen in spoken.interims}
        assert first.key in keys
        assert keys <= {seen.key for seen in spoken.heard}


def test_every_clip_is_answered_in_turn(story: Story) -> None:
    """The transcript alternates between the person's words and one answer."""
    sort_keys = [utterance["sortKey"] for utterance in story.kept]
    assert sort_keys == sorted(set(sort_keys))
    places = {utterance["key"]: place for place, utterance in enumerate(story.kept)}
    for spoken in story.clips:
        of_clip = sorted(places[seen.key] for seen in spoken.finals)
        assert of_clip == list(range(of_clip[0], of_clip[-1] + 1))
        said = [story.kept[place] for place in of_clip]
        assert [one["role"] for one in said] == ["USER"] * len(spoken.heard) + ["AGENT"]
        assert {one["source"] for one in said} == {"SPEECH"}
        assert len(spoken.replies) == 1


def test_what_was_said_survives_a_power_cut(story: Story) -> None:
    """After SIGKILL, before any save, at most 12 % of the words read are wrong.

    Of words in random order, at most 15 % of the letters are wrong.
    """
    kept = {utterance["key"]: utterance["text"] for utterance in story.kept}
    for is_made, limit in ((False, 0.12), (True, 0.15)):
        clips = [one for one in story.clips if ("seed" in one.clip.name) is is_made]
        heard = " ".join(kept[seen.key] for spoken in clips for seen in spoken.heard)
        said = " ".join(spoken.clip.text for spoken in clips)
        rate = letter_error_rate(said, heard) if is_made else error_rate([said], [heard])
        print(f"\n{'letter' if is_made else 'word'} error rate: {rate:.1%}")
        assert clips
        assert rate <= limit, (said, heard)


def test_everything_the_browser_saw_as_final_is_kept(story: Story) -> None:
    """Every final that was shown is unchanged after the power cut."""
    kept = {utterance["key"]: utterance for utterance in story.kept}
    assert len(kept) == len(story.kept)
    for seen in story.shown:
        assert kept[seen.key]["text"] == seen.text
        assert kept[seen.key]["isFinal"]


def test_the_agent_really_said_its_words(story: Story) -> None:
    """The recogniser hears the transcript's words in the agent's voice."""
    kept = {utterance["key"]: utterance["text"] for utterance in story.kept}
    for spoken in story.clips:
        text, heard = kept[spoken.finals[-1].key], understood(spoken.replies[0].heard)
        assert error_rate([text], [heard]) <= 0.2, (text, heard)


def test_speech_over_a_reply_stops_it(story: Story) -> None:
    """The transcript keeps what was heard of the reply, and marks only that as interrupted."""
    reply, over = story.interruption.reply, story.interruption.over
    [cut] = [one for one in story.kept if one["isInterrupted"] and one["isFinal"]]
    before = story.kept[: story.kept.index(cut)]
    asked = [one["text"] for one in before if one["role"] == "USER"][-1]
    words, whole = normal(cut["text"]).split(), normal(f"I heard {asked}").split()
    assert words
    assert words == whole[: len(words)]
    assert len(words) < len(whole)
    heard = normal(understood(reply.heard)).split()
    # The last word may be cut in half.
    parts = [heard[: len(heard) - late] for late in range(2)]
    rates = [error_rate([cut["text"]], [" ".join(part)]) for part in parts if part]
    assert min(rates) <= 0.2, (cut["text"], heard)
    assert reply.length is None, "a reply that was cut off has no end"
    assert reply.silent_since is not None
    assert reply.silent_since > over.voice_began


def test_a_person_whose_connection_is_lost_goes_on_where_they_were(story: Story) -> None:
    """Words before a loss in mid-sentence are kept, and the person is answered again."""
    lost = story.person_lost
    assert lost.statuses == [], "nothing was begun anew"
    assert lost.is_all_seen
    assert all(one["isFinal"] for one in lost.kept)
    assert is_beginning(SENTENCE, _text(lost.kept, lost.key))
    _assert_heard_after(lost)


def test_new_chat_saves_the_one_before(story: Story) -> None:
    """`startNewChat` with `previous` ends and saves that conversation, and starts another."""
    saved = story.started["saved"]
    assert saved["isSaved"]
    assert saved["session"]["id"] == story.call.id != story.second
    assert saved["session"]["utteranceCount"] == len(story.kept)
    assert saved["createdCount"] == 0, "the server knew every utterance already"
    assert saved["conflicts"] == []


def test_history_shows_both_newest_first(story: Story) -> None:
    """The history lists both conversations with their utterance counts."""
    assert story.saved["isSaved"]
    nodes = story.history["nodes"]
    assert [node["id"] for node in nodes] == [story.second, story.call.id]
    assert [node["utteranceCount"] for node in nodes] == [
        len(story.second_finals),
        len(story.kept),
    ]
    assert story.history["totalCount"] == 2
    assert nodes[1]["preview"]


def test_the_second_conversation_was_understood_too(story: Story) -> None:
    """The restarted server understands speech as well as before."""
    heard = joined([seen for seen in story.second_finals if seen.role == "USER"])
    assert error_rate([recording(SECOND).text], [heard]) <= 0.25, normal(heard)


def test_noise_is_no_speech(story: Story) -> None:
    """Noise, hum, clicks and silence make no utterance; later speech is understood."""
    first = story.spoken[0]
    assert [seen for seen in story.call.seen if seen.at < story.noise_ended] == []
    assert story.kept[0]["key"] == first.heard[0].key
    assert story.call.replies[0] is first.replies[0]
    assert first.replies[0].began > story.noise_ended
    assert error_rate([first.clip.text], [joined(first.heard)]) <= 0.25


def test_an_agent_that_dies_while_it_speaks_has_answered_and_the_next_goes_on(
    story: Story,
) -> None:
    """The first answer was stored; a line typed without an agent waits for the next."""
    lost = story.agent_lost
    assert [(one["role"], one["text"], one["isInterrupted"]) for one in lost.kept] == [
        ("USER", "What can you do?", False),
        ("AGENT", ABLE, False),
        ("USER", "What is seven times eight?", False),
        ("AGENT", "That's 56.", False),
    ]
    assert all(one["isFinal"] for one in lost.kept)
    assert lost.statuses == ["STARTING", "ACTIVE"]


def test_the_agent_hands_in_its_last_words_while_the_bridge_is_open(story: Story) -> None:
    """Half a sentence is stored and shown as a final, and the conversation may resume."""
    stopped = story.stopped
    assert stopped.status == 0
    assert stopped.call.end == {"reason": "SERVER_SHUTDOWN", "mayResume": True}
    [(role, text, is_final)] = stopped.spoken
    assert (role, is_final) == ("USER", 1)
    assert is_beginning(SENTENCE, text)
    assert [seen.text for seen in stopped.call.finals("USER")] == [text]
    assert stopped.state == [("ACTIVE", None, 1)]


def _text(kept: list[Json], key: str) -> str:
    [found] = [one["text"] for one in kept if one["key"] == key]
    return str(found)


def _assert_heard_after(lost: Loss) -> None:
    """Check that the later words were heard; other tests check how well."""
    spoken = [one["text"] for one in lost.kept if one["role"] == "USER" and one["isFinal"]]
    said, heard = normal(recording(AFTER).text), normal(" ".join(spoken))
    # The words may be transcribed as the end of the interrupted sentence.
    words = heard.split()[-len(said.split()) :]
    assert error_rate([said], [" ".join(words)]) <= 0.5, heard
