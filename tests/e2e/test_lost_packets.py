"""A person whose network loses every packet for a while, in the middle of a conversation."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.far import LOST_S, far
from tests.e2e.person import Person
from tests.e2e.room_line import WITHIN_S, RoomLine
from tests.e2e.sound import recording, spoken
from tests.e2e.test_lost import SENTENCE, assert_heard
from tests.e2e.words import normal

pytestmark = [pytest.mark.timeout(300), pytest.mark.own_network]


async def test_a_person_whose_packets_are_lost_goes_on_with_the_same_agent(tmp_path: Path) -> None:
    """For 20 seconds, in mid-sentence: what was heard stays, LiveKit's client comes back itself."""
    async with (
        far(tmp_path) as there,
        Person(there.server.url) as person,
        await person.talk() as call,
    ):
        before, after = recording("0920"), recording("0870")
        await call.answered(call.say(before))
        agents = await there.agents(call.id)
        acknowledged = {seen.key: seen.utterance for seen in call.finals()}
        cut = call.say(spoken("long sentence", SENTENCE))
        await call.until(lambda: len(call.interims(cut.began)) > 3)

        line = call.line
        assert isinstance(line, RoomLine)
        there.cable.lose()
        await asyncio.sleep(LOST_S)  # this is what happens here, nothing is waited for
        async with asyncio.timeout(WITHIN_S):
            await line.lost.wait()
        call.microphone.forget()
        there.cable.carry()
        await call.watch_again()
        await call.until(lambda: line.is_up)

        said = call.say(after)
        await call.answered(said)
        assert await there.agents(call.id) == agents
        assert [attempt for attempt, _ in agents] == [1]
        assert call.statuses in (["STARTING", "ACTIVE"], ["ACTIVE"]), "nothing was begun anew"
        kept = await person.utterances(call.id)
        assert all(one["isFinal"] for one in kept)
        assert {one["key"] for one in kept} == set(call.held), "the person saw all of it"
        assert len({one["key"] for one in kept}) == len(kept)
        now = {one["key"]: one["text"] for one in kept}
        assert all(now[key] == one["text"] for key, one in acknowledged.items())
        heard = normal(" ".join(one["text"] for one in kept if one["role"] == "USER"))
        assert heard.count("the old train") == 1
        assert_heard(before, call, until=cut.began)
        assert_heard(after, call, since=said.began)
