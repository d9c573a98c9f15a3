"""The shipped agent in rooms of a real LiveKit server: the same conversations as over `/audio`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import jiwer
import numpy as np
import pytest

from agent_bridge.agent.speech.recogniser import LocalRecogniser
from tests.attach.people import RoomPerson, delete_room, open_room, person, send_agent
from tests.attach.programs import AgentProgram
from tests.conftest import StartLiveKit
from tests.livekit_server import LiveKitServer
from tests.server_process import ROOT
from tests.speech import cards, plain, sentences, silence
from tests.voice.server import Notes, Server
from tests.voice.test_recognition import final_text, recognise, resampled

pytestmark = pytest.mark.timeout(300)
CLIP = sentences()[1]
LONG = sentences()[0]
SHARED = "shared"


@contextmanager
def voxql_agent(
    livekit: LiveKitServer, folder: Path, name: str, **environment: str
) -> Iterator[AgentProgram]:
    command = [sys.executable, "-m", "cli", "agent", "--livekit"]
    settings = {"VOXQL_AGENT_NAME": name, "VOXQL_DATA_DIR": str(folder), **environment}
    with AgentProgram(command, livekit, **settings) as program:
        yield program


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentProgram]:
    """`voxql agent --livekit`, which most of these tests share."""
    with voxql_agent(livekit, tmp_path_factory.mktemp("agent"), SHARED) as program:
        program.wait_for("registered at LiveKit")
        yield program
        assert "Traceback" not in program.log, program.log


class Talk:
    """One conversation in a room of its own."""

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

    @property
    def told(self) -> dict[str, object]:
        """What the agent is told."""
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


async def heard(recogniser: LocalRecogniser, someone: RoomPerson) -> str:
    sound = np.concatenate([resampled(bytes(someone.heard)), silence(1)])
    return final_text(await recognise(recogniser, sound))


async def test_what_is_said_is_reported_and_answered(
    worker: AgentProgram, server: Server, livekit: LiveKitServer, recogniser: LocalRecogniser
) -> None:
    """Interims, a final, and a spoken reply whose text is what is heard in the room."""
    talk = await Talk(server, livekit, "ses_a").begin()
    async with person(livekit, talk.room, talk.identity) as someone:
        await someone.until(someone.agents)
        await someone.is_received()
        await someone.speak(CLIP.pcm, then=2)
        await talk.replied()
        await talk.until(lambda: talk.notes.states[-1][1] == "LISTENING")
        (said,), (answer,) = talk.notes.finals("USER"), talk.notes.finals("AGENT")
        assert jiwer.wer(CLIP.words, plain(said.text)) <= 0.3
        assert len({interim.text for interim in talk.notes.interims(said.segment)}) >= 2
        assert (answer.interrupted, answer.source) == (False, "SPEECH")
        growing = [interim.text for interim in talk.notes.interims(answer.segment)]
        assert len(growing) >= 3
        assert all(answer.text.startswith(text) for text in growing)
        await someone.until(someone.has_heard_out)
        assert jiwer.wer(plain(answer.text), plain(await heard(recogniser, someone))) <= 0.3
        states = [state for _, state in talk.notes.states]
        assert states.index("LISTENING") < states.index("THINKING") < states.index("SPEAKING")
        server.stop(talk.session)
        await talk.until(lambda: talk.notes.byes)
        assert talk.notes.byes == ["STOPPED"]
        await someone.until(lambda: not someone.agents())


async def test_who_speaks_as_soon_as_it_listens_is_heard_from_the_first_word(
    worker: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """Somebody who was there before it: it says LISTENING once it receives their microphone."""
    talk = Talk(server, livekit, "ses_i")
    await open_room(livekit, talk.room, "nobody", {})
    async with person(livekit, talk.room, talk.identity) as someone:
        await send_agent(livekit, talk.room, talk.agent, talk.told)
        await talk.until(lambda: "LISTENING" in [state for _, state in talk.notes.states])
        await someone.speak(CLIP.pcm, then=2)
        await talk.until(lambda: talk.notes.finals("USER"))
        server.stop(talk.session)
        await talk.until(lambda: talk.notes.byes)
    said = plain(talk.notes.finals("USER")[0].text)
    assert said.split()[0] == CLIP.words.split()[0]
    assert jiwer.wer(CLIP.words, said) <= 0.3


async def test_speech_over_a_reply_stops_it(
    worker: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """The text ends where the voice did."""
    talk = await Talk(server, livekit, "ses_b").begin()
    async with person(livekit, talk.room, talk.identity) as someone:
        await someone.until(someone.agents)
        await someone.is_received()
        await someone.speak(LONG.pcm, then=0.1)
        await talk.until(lambda: any(said.role == "AGENT" for _, said in talk.notes.utterances))
        await someone.speak(cards()[2].pcm, then=2)
        await talk.replied(2)
        cut, answer = talk.notes.finals("AGENT")[:2]
        assert cut.interrupted
        assert cut.text
        assert not answer.interrupted
        server.stop(talk.session)
        await talk.until(lambda: talk.notes.byes)


async def test_typed_lines_are_spoken_to_who_is_there_and_written_otherwise(
    worker: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """The person comes, hears the second answer, and goes again."""
    talk = await Talk(server, livekit, "ses_c").begin()
    server.type(talk.session, "line-1", "What is twelve times seven?")
    await talk.replied(1)
    async with person(livekit, talk.room, talk.identity) as someone:
        await someone.until(someone.agents)
        # The agent speaks once LiveKit has told it that somebody receives its voice.
        count = 1
        while talk.notes.finals("AGENT")[-1].source != "SPEECH":
            count += 1
            server.type(talk.session, f"line-{count}", "And eight times seven?")
            await talk.replied(count)
        await someone.until(lambda: someone.loudest > 500)
    server.stop(talk.session)
    await talk.until(lambda: talk.notes.byes)
    assert talk.notes.finals("AGENT")[0].source == "TYPED"
    assert "84" in talk.notes.finals("AGENT")[0].text
    assert talk.notes.finals("USER") == []


async def test_nobody_but_the_person_is_heard(
    worker: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """Somebody else in the room speaks; then the person does."""
    talk = await Talk(server, livekit, "ses_d").begin()
    async with person(livekit, talk.room, "somebody-else") as other:
        await other.until(other.agents)
        await other.speak(LONG.pcm, then=2)
        assert talk.notes.utterances == []
        async with person(livekit, talk.room, talk.identity) as someone:
            await someone.until(someone.agents)
            await someone.is_received()
            await someone.speak(CLIP.pcm, then=2)
            await talk.until(lambda: talk.notes.finals("USER"))
    server.stop(talk.session)
    await talk.until(lambda: talk.notes.byes)
    assert jiwer.wer(CLIP.words, plain(talk.notes.finals("USER")[0].text)) <= 0.3


async def test_a_deleted_room_lets_another_agent_take_over(
    worker: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """The agent says so: what the server makes of it is the server's business."""
    talk = await Talk(server, livekit, "ses_e").begin()
    await delete_room(livekit, talk.room)
    await talk.until(lambda: talk.notes.byes)
    assert talk.notes.byes == ["DRAINING"]


async def test_a_job_that_is_not_ours_is_left(worker: AgentProgram, livekit: LiveKitServer) -> None:
    """With a line in the log; the worker goes on."""
    await open_room(livekit, f"room-{uuid4().hex}", SHARED, {"customer": 7})
    await asyncio.to_thread(worker.wait_for, "VoxQL has not asked for")


async def test_a_worker_that_is_stopped_hands_in_the_last_words(
    server: Server, livekit: LiveKitServer, tmp_path: Path
) -> None:
    """SIGTERM in mid-sentence: what was heard becomes final, and another agent may go on."""
    with voxql_agent(livekit, tmp_path, "stopped") as program:
        await asyncio.to_thread(program.wait_for, "registered at LiveKit")
        talk = await Talk(server, livekit, "ses_f", "stopped").begin()
        async with person(livekit, talk.room, talk.identity) as someone:
            await someone.until(someone.agents)
            await someone.is_received()
            speaking = asyncio.create_task(someone.speak(LONG.pcm, then=10))
            await talk.until(lambda: talk.notes.utterances)
            assert await asyncio.to_thread(program.terminate) == 0
            await talk.until(lambda: talk.notes.byes)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        assert "Traceback" not in program.log, program.log
    assert talk.notes.byes == ["RESTARTING"]
    assert len(talk.notes.finals("USER")) == 1


async def test_a_worker_that_is_killed_leaves_what_it_heard(
    server: Server, livekit: LiveKitServer, tmp_path: Path
) -> None:
    """In mid-sentence: the newest interim is there, and the connection breaks."""
    with voxql_agent(livekit, tmp_path, "killed") as program:
        await asyncio.to_thread(program.wait_for, "registered at LiveKit")
        talk = await Talk(server, livekit, "ses_g", "killed").begin()
        async with person(livekit, talk.room, talk.identity) as someone:
            await someone.until(someone.agents)
            await someone.is_received()
            speaking = asyncio.create_task(someone.speak(LONG.pcm, then=10))
            await talk.until(lambda: talk.notes.utterances)
            program.kill()
            await talk.until(lambda: talk.notes.byes)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
    assert talk.notes.byes == ["DISCONNECTED"]
    assert talk.notes.finals("USER") == []


async def test_the_example_holds_a_conversation(
    server: Server, livekit: LiveKitServer, tmp_path: Path
) -> None:
    """The same agent, from a program."""
    command = [sys.executable, "-P", str(ROOT / "examples" / "livekit_shipped.py")]
    more = {"VOXQL_AGENT_NAME": "example", "PYTHONPATH": str(ROOT)}
    with AgentProgram(command, livekit, **more) as program:
        await asyncio.to_thread(program.wait_for, "registered at LiveKit")
        talk = await Talk(server, livekit, "ses_h", "example").begin()
        server.type(talk.session, "line-1", "What is twelve times seven?")
        await talk.replied()
        assert await asyncio.to_thread(program.terminate) == 0
        await talk.until(lambda: talk.notes.byes)
        assert "Traceback" not in program.log, program.log
    assert "84" in talk.notes.finals("AGENT")[0].text
    assert talk.notes.byes == ["RESTARTING"]


async def test_a_livekit_that_is_away_is_waited_for(
    start_livekit: StartLiveKit, tmp_path: Path
) -> None:
    """The worker says so, tries on, and registers when it is there; also when it went away."""
    livekit = start_livekit()
    livekit.stop()
    with voxql_agent(livekit, tmp_path, "waiting") as program:
        await asyncio.to_thread(program.wait_for, "failed to connect to livekit")
        await asyncio.to_thread(livekit.start)
        await asyncio.to_thread(program.wait_for, "registered at LiveKit")
        before = len(program.lines)
        await asyncio.to_thread(livekit.restart)
        await asyncio.to_thread(program.wait_for, "registered at LiveKit", after=before)
        assert await asyncio.to_thread(program.terminate) == 0


@pytest.mark.parametrize("missing", ["LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
def test_without_livekits_settings_it_says_what_is_missing(missing: str, tmp_path: Path) -> None:
    """One sentence, status 78: starting it again would not help."""
    given = {
        "LIVEKIT_URL": "ws://127.0.0.1:7880",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "secret",
    }
    del given[missing]
    done = subprocess.run(
        [sys.executable, "-m", "cli", "agent", "--livekit"],
        env={**os.environ, **given, "VOXQL_DATA_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78
    assert done.stderr == f"voxql: voxql agent --livekit needs {missing}; see docs/settings.md\n"
