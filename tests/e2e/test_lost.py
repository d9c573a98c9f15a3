"""What is lost in the middle of a conversation, and what is not lost with it."""

import asyncio
from contextlib import ExitStack
from uuid import uuid4

import psutil
import pytest

from tests.attach.programs import AgentProgram
from tests.e2e.call import Call
from tests.e2e.conftest import READY_WITHIN_S, StartSpeaking, room_worker
from tests.e2e.person import Person
from tests.e2e.player import RATE
from tests.e2e.room_line import RoomLine
from tests.e2e.seen import joined
from tests.e2e.sound import Clip, recording, spoken
from tests.e2e.words import error_rate, normal
from tests.livekit_server import LiveKitServer
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(300)

AWAY_S = 20.0
"""Less than VOXQL_ABANDON_S, after which the conversation would be over."""
SENTENCE = (
    "the old train left the station early in the morning and went slowly along the river to the "
    "mountain village where my brother lives with his children and a very large brown dog"
)


async def test_a_person_whose_connection_is_lost_goes_on_where_they_were(
    talking: ServerProcess,
) -> None:
    """Away for 20 seconds, in mid-sentence: what was heard is kept, and they are answered again."""
    before, after = recording("0920"), recording("0870")
    sentence = spoken("long sentence", SENTENCE)
    async with Person(talking.url) as person, await person.talk() as call:
        await call.answered(call.say(before))
        cut = call.say(sentence)
        await call.until(lambda: call.is_heard_to_say("the old train", cut.began))

        await call.drop()
        await asyncio.sleep(AWAY_S)  # this is what happens here, nothing is waited for
        assert call.status == "ACTIVE"
        call.microphone.forget()
        await call.rejoin()
        said = call.say(after)
        await call.answered(said)

        kept = await person.utterances(call.id)
        assert all(one["isFinal"] for one in kept)
        heard = [one["text"] for one in kept if one["role"] == "USER"]
        assert_heard(before, call, until=cut.began)
        assert "the old train" in normal(" ".join(heard))
        assert_heard(after, call, since=said.began)
        assert call.statuses in (["STARTING", "ACTIVE"], ["ACTIVE"]), "nothing was begun anew"
        assert {one["key"] for one in kept} == set(call.held), "the person saw all of it"


async def test_a_worker_that_is_killed_in_mid_sentence_is_replaced(
    in_rooms: ServerProcess, livekit: LiveKitServer
) -> None:
    """Half a sentence stays, as unfinished; with another worker the conversation goes on."""
    name = f"agent-{uuid4().hex}"
    sentence = spoken("long sentence", SENTENCE)
    with ExitStack() as programs:
        first = await _worker(programs, livekit, name)
        async with Person(in_rooms.url) as person, await person.talk(agentName=name) as call:
            await call.answered(call.say(recording("0920")))
            line = call.line
            assert isinstance(line, RoomLine)
            await call.until(lambda: line.voices)
            [lost] = line.voices
            await _worker(programs, livekit, name)
            cut = call.say(sentence)
            await call.until(lambda: call.is_heard_to_say("the old train", cut.began))

            await asyncio.to_thread(first.kill)
            call.microphone.forget()

            await call.until(lambda: call.statuses[-2:] == ["STARTING", "ACTIVE"])
            await call.until(lambda: line.voices and lost not in line.voices)
            after = call.say(recording("0870"))
            await call.answered(after)

            kept = await person.utterances(call.id)
            unfinished = [one for one in kept if not one["isFinal"]]
            assert [one["key"] for one in unfinished] == [call.interims(cut.began)[0].key]
            assert normal(unfinished[0]["text"]).startswith("the old train")
            assert_heard(recording("0920"), call, until=cut.began)
            assert_heard(recording("0870"), call, since=after.began)
            assert {one["key"] for one in kept} == set(call.held), "the person saw all of it"


async def test_a_typed_line_that_an_agent_died_over_is_answered_by_the_next(
    start_speaking: StartSpeaking,
) -> None:
    """It is killed in mid-answer; what it had said stays, and the line is answered whole."""
    server = await asyncio.to_thread(start_speaking, VOXQL_START_TIMEOUT_S="60")
    async with Person(server.url) as person, await person.talk() as call:
        await call.until(lambda: call.status == "ACTIVE")
        key = await person.types(call.id, "What is seven times eight?")
        await call.until(lambda: call.finals("AGENT") and call.is_quiet())
        cut = await person.types(call.id, "What can you do?")
        await call.until(lambda: len(call.replies) == 2 and call.replies[1].samples > RATE)

        for process in psutil.Process(server.process.pid).children():
            process.kill()

        await call.until(lambda: call.statuses[-2:] == ["STARTING", "ACTIVE"])
        await call.until(lambda: len(call.finals("AGENT")) == 2)
        kept = await person.utterances(call.id)
    first, answer, second, unfinished, again = kept
    assert [first["key"], second["key"]] == [key, cut]
    assert answer["text"] == "That is 56."
    assert not unfinished["isFinal"]
    assert again["isFinal"]
    assert not again["isInterrupted"]
    assert len(again["text"]) > len(unfinished["text"])
    assert normal(again["text"]).startswith(normal(unfinished["text"]))


async def _worker(programs: ExitStack, livekit: LiveKitServer, name: str) -> AgentProgram:
    program = programs.enter_context(
        room_worker(livekit, VOXQL_AGENT_NAME=name, VOXQL_AGENT_PLACES="1")
    )
    await asyncio.to_thread(program.wait_for, "registered at LiveKit", READY_WITHIN_S)
    return program


def assert_heard(clip: Clip, call: Call, since: float = 0.0, until: float = float("inf")) -> None:
    """What was said in this time was heard."""
    heard = joined([seen for seen in call.finals("USER", since) if seen.at < until])
    # How well is for test_conversation; here it matters that it was this, and not lost.
    assert error_rate([clip.text], [heard]) <= 0.5, (clip.text, heard)
