"""Several people talk at once, each as if alone; one too many is refused."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.e2e.client.call import Call
from tests.e2e.client.microphone import Said
from tests.e2e.client.person import Person
from tests.e2e.client.player import Player
from tests.e2e.conftest import StartSpeaking
from tests.e2e.machine import Machine
from tests.speech.sound import Clip, recording
from tests.speech.words import error_rate

pytestmark = [pytest.mark.timeout(150), pytest.mark.soak]

PLACES = 3
"""Concurrent conversations on the two cores that the checks run on."""
LAG_S = 1.0
"""The longest delay of a final after the end of speech while all places are in use."""
STUTTER_S = 0.3
"""Silence within a reply that is not part of the voice."""
CLIPS = ("0870", "0920", "0890")


async def test_three_people_talk_at_once(start_speaking: StartSpeaking) -> None:
    """All are understood in time and without stutter; a fourth is refused and disturbs nobody."""
    speaking = await asyncio.to_thread(start_speaking, VOXQL_AGENT_PLACES=str(PLACES))
    machine = Machine(speaking.process.pid)
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Person(speaking.url)) for _ in range(PLACES)]
        calls = [await stack.enter_async_context(await person.talk()) for person in people]
        turns = [
            [recording(CLIPS[(number + turn) % len(CLIPS)]) for turn in range(2)]
            for number in range(PLACES)
        ]
        talking = [
            asyncio.create_task(_talk(call, clips))
            for call, clips in zip(calls, turns, strict=True)
        ]
        late = await stack.enter_async_context(Person(speaking.url))
        refused = await late.start()
        said = [one for spoken in await asyncio.gather(*talking) for one in spoken]

        assert refused["connection"] is None
        assert refused["session"]["status"] == "FAILED"
        failure = refused["session"]["failure"]
        assert failure["code"] == "AGENT_UNAVAILABLE"
        assert failure["isRetryable"]
        assert failure["message"].startswith("Every agent is in a conversation just now.")

        texts = [clip.text for clips in turns for clip in clips]
        rate = error_rate(texts, [text for _, text, _ in said])
        lags = sorted(lag for _, _, lag in said)
        players = [call.player for call in calls if isinstance(call.player, Player)]
        stalled = [round(player.stalled, 2) for player in players]
        assert len(stalled) == PLACES
        print(f"\nword error rate {rate:.1%}, stalled {stalled} s; {machine.share:.0%} ours")
        print(f"final after {[round(lag, 2) for lag in lags]} s")
        assert rate <= 0.12, said
        assert lags[-1] <= machine.allows(LAG_S)
        assert max(stalled) <= machine.allows(STUTTER_S)


async def _talk(call: Call, clips: list[Clip]) -> list[tuple[Said, str, float]]:
    heard = []
    for clip in clips:
        said = call.say(clip)
        await call.answered(said, 45)
        finals = call.finals("USER", said.began)
        text = " ".join(seen.text for seen in finals)
        heard.append((said, text, finals[-1].at - said.voice_ended))
    return heard
