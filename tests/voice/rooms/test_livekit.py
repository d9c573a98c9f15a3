"""The shipped agent in real LiveKit rooms: the same conversations as over `/audio`."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import jiwer
import pytest
from livekit import rtc

from agent.demo.responder import GREETING
from agent.speech.recogniser import LocalRecogniser
from tests.attach.people import (
    HEARD_RATE,
    RoomPerson,
    delete_room,
    open_room,
    person,
    send_agent,
)
from tests.attach.programs import AgentProgram, agent_in_rooms
from tests.programs.livekit_server import LiveKitServer
from tests.programs.said import Program
from tests.programs.server_process import ROOT
from tests.programs.shared import Shared
from tests.speech.recordings import RATE, cards, plain, sentences
from tests.voice.server import Notes, Server

pytestmark = pytest.mark.timeout(300)
SHARED = "voxql"


@contextmanager
def voxql_agent(
    livekit: LiveKitServer, folder: Path, name: str, **environment: str
) -> Iterator[AgentProgram]:
    command = [sys.executable, "-m", "cli", "agent", "--livekit"]
    settings = {"VOXQL_AGENT_NAME": name, "VOXQL_DATA_DIR": str(folder), **environment}
    with AgentProgram(command, livekit, **settings) as program:
        yield program


@pytest.fixture(scope="session")
def worker(shared: Shared, livekit: LiveKitServer) -> Program:
    """The run's shared `voxql agent --livekit`."""
    return agent_in_rooms(shared, livekit)


class Talk:
    """A conversation in a separate room."""

    def __init__(
        self, server: Server, livekit: LiveKitServer, session: str, agent: str = SHARED
    ) -> None:
        self.agent = agent
        self.server = server
        self.livekit = livekit
        self.session = session
        self.room = f"room-{uuid4().hex}"
        self.identity = f"person-{session}"
        self.notes: Notes = server.notebook.of(session)
        self.speaking: asyncio.Task[None]

    @property
    def told(self) -> dict[str, object]:
        """The metadata of the agent's job."""
        token = self.server.tokens.bridge(self.session, 1)
        member = {"url": self.server.url, "session": self.session, "attempt": 1, "token": token}
        return {"voxql": member}

    async def ask(self) -> None:
        await open_room(self.livekit, self.room, self.agent, self.told)

    async def begin(self) -> "Talk":
        await self.ask()
        await self.until(lambda: self.notes.is_ready)
        return self

    async def until(self, condition: object) -> None:
        assert callable(condition)
        await self.server.notebook.until(condition, 90)

    async def replied(self, count: int = 1) -> None:
        await self.until(lambda: len(self.notes.finals("AGENT")) >= count)

    async def has_answered(self, count: int) -> None:
        """Wait until the agent has answered this many times and is silent again."""
        await self.replied(count)
        answered = self.notes.when(self.notes.finals("AGENT")[count - 1])
        await self.until(
            lambda: any(state == "LISTENING" and at > answered for at, state in self.notes.states)
        )

    async def interrupted(self, someone: RoomPerson) -> None:
        """Let the person talk; return in mid-sentence, while they continue."""
        await someone.until(someone.agents)
        await someone.is_received()
        self.speaking = asyncio.create_task(someone.speak(sentences()[0].pcm, then=10))
        await self.until(lambda: self.notes.utterances)

    async def ended(self) -> list[str]:
        """Wait for the agent's bye; return the reasons."""
        await self.until(lambda: self.notes.byes)
        self.speaking.cancel()
        await asyncio.gather(self.speaking, return_exceptions=True)
        return self.notes.byes


async def heard(recogniser: LocalRecogniser, someone: RoomPerson) -> str:
    """Return the words that the person has heard."""
    frame = rtc.AudioFrame(bytes(someone.heard), HEARD_RATE, 1, len(someone.heard) // 2)
    resampler = rtc.AudioResampler(HEARD_RATE, RATE)
    event = await recogniser.recognize([*resampler.push(frame), *resampler.flush()])
    return plain(event.alternatives[0].text)


async def test_a_conversation_is_held_in_a_room(
    worker: Program, server: Server, livekit: LiveKitServer, recogniser: LocalRecogniser
) -> None:
    """The person is heard from the first word, answered aloud, and able to interrupt.

    Here the person is in the room before the agent, and speaks once the agent reports that it
    listens: when it has subscribed to the microphone.
    """
    clip = sentences()[1]
    talk = Talk(server, livekit, "ses_a")
    notes = talk.notes
    await open_room(livekit, talk.room)
    async with person(livekit, talk.room, talk.identity) as someone:
        await send_agent(livekit, talk.room, talk.agent, talk.told)
        await talk.until(lambda: "LISTENING" in [state for _, state in notes.states])
        await someone.speak(clip.pcm)
        await talk.replied()
        await talk.until(lambda: notes.states[-1][1] == "LISTENING")
        (said,), (answer,) = notes.finals("USER"), notes.finals("AGENT")
        assert plain(said.text).split()[0] == clip.words.split()[0]
        assert jiwer.wer(clip.words, plain(said.text)) <= 0.3
        assert len({interim.text for interim in notes.interims(said.segment)}) >= 3
        assert (answer.interrupted, answer.source) == (False, "SPEECH")
        growing = [interim.text for interim in notes.interims(answer.segment)]
        assert len(growing) >= 3
        assert all(answer.text.startswith(text) for text in growing)
        await someone.until(someone.has_heard_out)
        assert jiwer.wer(plain(answer.text), await heard(recogniser, someone)) <= 0.3
        states = [state for _, state in notes.states]
        assert states.index("LISTENING") < states.index("THINKING") < states.index("SPEAKING")

        await someone.speak(clip.pcm)
        whole = answer
        await talk.until(
            lambda: any(
                said.role == "AGENT" and said.segment != whole.segment
                for _, said in notes.utterances
            )
        )
        await someone.speak(cards()[2].pcm)
        await talk.replied(3)
        _, cut, answer = notes.finals("AGENT")
        assert cut.interrupted
        assert 0 < len(cut.text.split()) < len(whole.text.split())
        assert not answer.interrupted
        server.stop(talk.session)
        await talk.until(lambda: notes.byes)
        assert notes.byes == ["STOPPED"]
        await someone.until(lambda: not someone.agents())


async def test_typed_lines_are_answered_in_writing_and_spoken_to_who_is_there(
    worker: Program, server: Server, livekit: LiveKitServer
) -> None:
    """Answers are written either way; while the person is there, they are spoken, too."""
    talk = await Talk(server, livekit, "ses_c").begin()
    server.type(talk.session, "line-1", "What is twelve times seven?")
    await talk.replied(1)
    async with person(livekit, talk.room, talk.identity) as someone:
        await someone.until(someone.agents)
        # The agent speaks once LiveKit has reported a subscriber to its voice.
        count = 1
        while someone.loudest <= 500:
            count += 1
            server.type(talk.session, f"line-{count}", "And eight times seven?")
            await talk.has_answered(count)
    server.stop(talk.session)
    await talk.until(lambda: talk.notes.byes)
    answers = talk.notes.finals("AGENT")
    assert {(answer.source, answer.interrupted) for answer in answers} == {("TYPED", False)}
    assert [answer.text for answer in answers] == ["That's 84.", *["That's 56."] * (count - 1)]
    assert talk.notes.finals("USER") == []


async def test_a_deleted_room_lets_another_agent_take_over(
    worker: Program, server: Server, livekit: LiveKitServer
) -> None:
    """The agent reports DRAINING, and leaves the rest to the server."""
    talk = await Talk(server, livekit, "ses_e").begin()
    await delete_room(livekit, talk.room)
    await talk.until(lambda: talk.notes.byes)
    assert talk.notes.byes == ["DRAINING"]


async def test_a_job_that_is_not_ours_is_left(worker: Program, livekit: LiveKitServer) -> None:
    """The worker logs it and keeps running."""

    def refused() -> int:
        return sum("VoxQL has not asked for" in line for line in worker.lines)

    before = refused()
    await open_room(livekit, f"room-{uuid4().hex}", SHARED, {"customer": 7})
    await asyncio.to_thread(worker.wait_until, lambda: refused() > before, 60)
    assert refused() > before


async def test_the_example_holds_a_conversation(
    server: Server, livekit: LiveKitServer, tmp_path: Path
) -> None:
    """The same agent, started from a program, greets, is interrupted, and answers."""
    command = [sys.executable, "-P", str(ROOT / "examples" / "livekit_shipped.py")]
    more = {"VOXQL_AGENT_NAME": "example", "PYTHONPATH": str(ROOT)}
    with AgentProgram(command, livekit, **more) as program:
        await asyncio.to_thread(program.wait_for, "registered at LiveKit")
        talk = await Talk(server, livekit, "ses_h", "example").begin()
        async with person(livekit, talk.room, talk.identity) as someone:
            # LiveKit's SDK logs an error of its own when it is stopped while publishing the voice.
            await someone.until(lambda: someone.heard)
            await talk.until(lambda: talk.notes.utterances)
            server.type(talk.session, "line-1", "What is twelve times seven?")
            await talk.replied(2)
            greeting, answer = talk.notes.finals("AGENT")
            assert GREETING.startswith(greeting.text)
            assert greeting.interrupted
            assert (answer.text, answer.source) == ("That's 84.", "TYPED")
        assert await asyncio.to_thread(program.terminate) == 0
        await talk.until(lambda: talk.notes.byes)
        assert "Traceback" not in program.log, program.log
    assert talk.notes.byes == ["RESTARTING"]
