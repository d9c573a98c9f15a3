"""The examples in real rooms, with the oldest and the newest livekit-agents: every word arrives."""

import asyncio
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from agent_bridge.protocol import Utterance
from tests.attach.conftest import SESSION, dispatch
from tests.attach.people import Pcm, RoomPerson, open_room, person
from tests.attach.programs import AgentProgram
from tests.livekit_server import LiveKitServer
from tests.server_process import ROOT
from tests.voice.server import Notes, Server

pytestmark = pytest.mark.timeout(300)
PERSON = "person-" + SESSION


def sound(seconds: float) -> Pcm:
    """A tone that the stand-in recogniser takes for speech."""
    at = np.arange(round(seconds * 16_000)) / 16_000
    return (8_000 * np.sin(2 * np.pi * 300 * at)).astype(np.int16)


class Example(AgentProgram):
    """One of the examples, run as somebody would who has read it, with a room of its own."""

    def __init__(self, python: Path, name: str, livekit: LiveKitServer) -> None:
        # A name of its own: LiveKit may not have noticed yet that a killed worker is gone.
        self.agent = f"{name}-{uuid4().hex}"
        self.room = f"room-{uuid4().hex}"
        self.livekit = livekit
        path = ROOT / "examples" / f"{name}.py"
        super().__init__([python, path, "start"], livekit, VOXQL_AGENT_NAME=self.agent)

    async def joined(self, server: Server) -> Notes:
        """Open a room for the agent, and wait until it says that it can hear."""
        await asyncio.to_thread(self.wait_for, "registered worker")
        notes = server.notebook.of(SESSION)
        await open_room(self.livekit, self.room, self.agent, {"theirs": 1, **dispatch(server)})
        await server.notebook.until(lambda: notes.is_ready, 90)
        return notes


def settled(notes: Notes, role: str) -> list[Utterance]:
    """Return what is kept of a side in the end: of each segment the last final."""
    return list({said.segment: said for said in notes.finals(role)}.values())


async def replied(server: Server, notes: Notes, count: int) -> None:
    try:
        await server.notebook.until(lambda: len(settled(notes, "AGENT")) >= count, 90)
    except TimeoutError:
        # pytest shows it with the failure.
        print(*(f"{said.role} {said.final} {said.text}" for _, said in notes.utterances), sep="\n")
        raise


def same_as_in_the_room(notes: Notes, someone: RoomPerson) -> None:
    """Whoever saves what the room showed them makes no second row."""
    for role, of_me in (("USER", True), ("AGENT", False)):
        kept = {said.segment for said in notes.finals(role)}
        assert kept == {shown.segment for shown in someone.finals(of_me=of_me)}


async def test_the_minimal_agent_tells_both_sides(
    python: Path, server: Server, livekit: LiveKitServer
) -> None:
    """Interims and finals of both, under the ids of the room, states, a typed line, and the end."""
    with Example(python, "livekit_minimal", livekit) as program:
        notes = await program.joined(server)
        async with person(livekit, program.room, PERSON) as someone:
            await someone.until(someone.agents)
            await someone.speak(sound(1.6))
            await replied(server, notes, 1)
            (said,), (answer,) = settled(notes, "USER"), settled(notes, "AGENT")
            assert said.text == "Good morning to you all."
            assert len(notes.interims(said.segment)) >= 2
            assert answer.text == "You said: Good morning to you all."
            assert not answer.interrupted
            growing = [interim.text for interim in notes.interims(answer.segment)]
            assert len(growing) >= 3
            assert all(answer.text.startswith(text.strip()) for text in growing)
            await someone.until(lambda: someone.loudest > 1_000)
            await someone.until(lambda: someone.finals(of_me=False))
            same_as_in_the_room(notes, someone)

            server.type(SESSION, "line-1", "and typed")
            await replied(server, notes, 2)
            assert settled(notes, "AGENT")[1].text == "You said: and typed"
            assert len(settled(notes, "USER")) == 1
            states = [state for _, state in notes.states]
            assert states.index("LISTENING") < states.index("SPEAKING")

            server.stop(SESSION)
            await server.notebook.until(lambda: notes.byes, 90)
            assert notes.byes == ["STOPPED"]
            await someone.until(lambda: not someone.agents())
        assert "Traceback" not in program.log, program.log


async def test_an_interruption_cuts_the_reply(
    python: Path, server: Server, livekit: LiveKitServer
) -> None:
    """What is kept is what was said of it, the same as in the room."""
    # Long enough for its middle to be found on a slow machine.
    letters = " ".join(4 * list("abcdefghijklmnopqrstuvwxyz"))
    with Example(python, "livekit_minimal", livekit) as program:
        notes = await program.joined(server)
        async with person(livekit, program.room, PERSON) as someone:
            await someone.until(someone.agents)
            server.type(SESSION, "line-1", letters)
            # Newer versions do not hear the person in the first three seconds of a reply.
            await server.notebook.until(
                lambda: any(" o p q" in said.text for _, said in notes.utterances), 90
            )
            await someone.speak(sound(1.6))
            await replied(server, notes, 2)
            await someone.until(lambda: len(someone.finals(of_me=False)) >= 2)
            cut, answer = settled(notes, "AGENT")
            whole = f"You said: {letters}"
            assert cut.interrupted
            assert whole.startswith(cut.text.strip())
            assert cut.text.strip() != whole
            assert answer.text == "You said: Good morning to you all."
            same_as_in_the_room(notes, someone)


async def test_after_a_handoff_everything_still_arrives(
    python: Path, server: Server, livekit: LiveKitServer
) -> None:
    """Tools, another agent's greeting, and what it answers."""
    with Example(python, "livekit_handoff", livekit) as program:
        notes = await program.joined(server)
        async with person(livekit, program.room, PERSON) as someone:
            await someone.until(someone.agents)
            for count in (1, 2, 3):
                await someone.speak(sound(1.6))
                await replied(server, notes, count)
            await someone.until(lambda: len(someone.finals(of_me=False)) >= 3)
            assert [said.text for said in settled(notes, "USER")] == [
                "When are you open?",
                "I have an invoice here.",
                "It is far too high.",
            ]
            assert [said.text for said in settled(notes, "AGENT")] == [
                "We are open from nine to five.",
                "Billing speaking.",
                "I see: It is far too high.",
            ]
            same_as_in_the_room(notes, someone)


async def test_a_killed_agent_leaves_what_it_said(
    python: Path, server: Server, livekit: LiveKitServer
) -> None:
    """In mid-sentence: the interims are there, and the server sees a connection that broke."""
    with Example(python, "livekit_minimal", livekit) as program:
        notes = await program.joined(server)
        async with person(livekit, program.room, PERSON) as someone:
            await someone.until(someone.agents)
            speaking = asyncio.create_task(someone.speak(sound(5)))
            await server.notebook.until(lambda: notes.utterances, 90)
            program.kill()
            await server.notebook.until(lambda: notes.byes, 90)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
    assert notes.byes == ["DISCONNECTED"]
    assert notes.finals("USER") == []
    assert notes.utterances[-1][1].text.startswith("Good")
