"""The contract of every audio transport: in memory, over `/audio`, and in a LiveKit room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from itertools import groupby

import numpy as np
import pytest

from agent.audio_transport import AudioTransport
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE, Begin, Clear, End
from tests.programs.livekit_server import LiveKitServer
from tests.speech.recordings import RATE
from tests.voice.server import Server
from tests.voice.transports.ends import PERSON, Ends, InMemory, InRoom, OverAudio, Sound

ALMOST = 0.12
"""Seconds by which sound that passed a codec may be shorter or longer."""


@asynccontextmanager
async def running(ends: Ends) -> AsyncIterator[AudioTransport]:
    """Run the agent's end."""
    transport = ends.transport()
    task = asyncio.create_task(transport.run())
    try:
        yield transport
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def tone(seconds: float, rate: int = RATE) -> Sound:
    at = np.arange(round(seconds * rate)) / rate
    return np.asarray(8_000 * np.sin(2 * np.pi * 300 * at), np.int16)


def loud(sound: Sound, rate: int) -> float:
    """Return the seconds of this sound that are not silent."""
    size = rate // 50
    frames = np.abs(sound[: len(sound) // size * size].astype(np.int32)).reshape(-1, size)
    return float((frames.max(axis=1) > 2_000).sum() / 50)


def send(transport: AudioTransport, seconds: float) -> int:
    """Send this many seconds of a reply; return the number of samples."""
    sound, size = tone(seconds, OUTPUT_SAMPLE_RATE), OUTPUT_SAMPLE_RATE // 25
    for start in range(0, len(sound), size):
        transport.sound(sound[start : start + size].tobytes())
    return len(sound)


class Transports:
    """Tests for every transport."""

    async def test_what_the_person_says_arrives(self, ends: Ends) -> None:
        """Everything arrives once the agent listens; earlier sound only where it is kept."""
        listener = ends.listener
        async with ends.person() as someone:
            await someone.speak(tone(0.4), then=0.2)
            async with running(ends) as transport:
                await transport.hears()
                assert ends.is_received
                await someone.speak(tone(0.6), then=0.4)
                expected = 1.0 if ends.keeps else 0.6

                def arrived() -> float:
                    return loud(np.frombuffer(bytes(listener.sound), np.int16), RATE)

                await listener.until(lambda: arrived() >= expected - ALMOST)
                assert arrived() == pytest.approx(expected, abs=ALMOST)

    async def test_a_reply_is_reported_until_all_of_it_was_played(self, ends: Ends) -> None:
        """Reports grow during playback and end with the reply's length."""
        listener = ends.listener
        async with ends.person() as someone, running(ends) as transport:
            await listener.until(lambda: listener.is_attended)
            transport.say(Begin("reply"))
            samples = send(transport, 0.8)
            transport.say(End("reply", samples))
            await listener.until(lambda: samples in listener.samples("reply"))
            reports = listener.samples("reply")
            assert reports == sorted(reports)
            assert len(set(reports)) >= 2
            assert reports[-1] == samples
            await someone.until(lambda: loud(someone.heard(), OUTPUT_SAMPLE_RATE) >= 0.8 - ALMOST)

    async def test_a_reply_that_is_cut_is_reported_as_far_as_it_was_played(
        self, ends: Ends
    ) -> None:
        """The rest is not heard, and the next reply is whole."""
        listener = ends.listener
        async with ends.person() as someone, running(ends) as transport:
            await listener.until(lambda: listener.is_attended)
            transport.say(Begin("cut"))
            sent = send(transport, 0.9)
            await listener.until(lambda: max(listener.samples("cut"), default=0) >= sent / 4)
            before = len(listener.played)
            transport.say(Clear("cut"))
            await listener.until(lambda: len(listener.played) > before)
            played = listener.samples("cut")[-1]
            assert sent / 4 <= played < sent

            transport.say(Begin("next"))
            samples = send(transport, 0.4)
            transport.say(End("next", samples))
            await listener.until(lambda: samples in listener.samples("next"))
            assert listener.samples("cut")[-1] == played
            heard = played / OUTPUT_SAMPLE_RATE + 0.4
            await someone.until(lambda: loud(someone.heard(), OUTPUT_SAMPLE_RATE) >= heard - ALMOST)
            assert loud(someone.heard(), OUTPUT_SAMPLE_RATE) == pytest.approx(heard, abs=ALMOST)

    async def test_the_agent_learns_when_the_person_comes_and_goes(self, ends: Ends) -> None:
        """Every arrival and departure is reported."""
        listener = ends.listener
        async with running(ends) as transport:
            await transport.hears()
            for _ in range(2):
                async with ends.person():
                    await listener.until(lambda: listener.is_attended)
                    assert listener.peers[-1].reports_played
                await listener.until(lambda: not listener.is_attended)
        changes = [connected for connected, _ in groupby(peer.connected for peer in listener.peers)]
        assert changes[changes.index(True) :] == [True, False, True, False]

    async def test_a_line_that_ends_for_good_says_so(self, ends: Ends) -> None:
        """`run` returns if the conversation can continue without sound, and raises if it can't."""
        listener = ends.listener
        task = asyncio.create_task(ends.transport().run())
        async with ends.person():
            await listener.until(lambda: listener.is_attended)
            await ends.end()
            with pytest.raises(ends.loss) if ends.loss else nullcontext():
                await task
        assert not listener.is_attended


@pytest.mark.sample_clock
class TestInMemory(Transports):
    """The tests' own transport, with which conversations are tested."""

    @pytest.fixture
    def ends(self, clock: None) -> Ends:
        return InMemory()


@pytest.mark.sample_clock
class TestOverAudio(Transports):
    """`/audio`, through a real server."""

    @pytest.fixture
    def ends(self, server: Server) -> Ends:
        return OverAudio(server)


class TestInARoom(Transports):
    """A room of a real LiveKit server, in real time."""

    @pytest.fixture
    async def ends(self, livekit: LiveKitServer) -> AsyncIterator[Ends]:
        async with InRoom(livekit).opened() as room:
            yield room


async def test_a_room_hears_only_the_person_and_shows_what_the_agent_does(
    livekit: LiveKitServer,
) -> None:
    """Other participants are not part of this conversation."""
    async with InRoom(livekit).opened() as room, running(room) as transport:
        listener = room.listener
        async with room.enters("somebody-else") as other:
            await other.speak(tone(0.4), then=0.2)
            assert [peer for peer in listener.peers if peer.connected] == []
            async with room.enters(PERSON) as someone:
                # A person who joins after the agent is heard once it has subscribed to the
                # microphone.
                await someone.is_received()
                transport.state("thinking")
                await asyncio.gather(other.speak(tone(0.6)), someone.speak(tone(0.2), then=0.8))
                assert listener.is_attended
                agent = other.room.remote_participants["agent"]
                await other.until(lambda: agent.attributes.get("lk.agent.state") == "thinking")
    said = loud(np.frombuffer(bytes(listener.sound), np.int16), RATE)
    # WebRTC stretches late sound; the other participant's sound would be three times as long.
    assert 0.2 - ALMOST <= said < 0.5
