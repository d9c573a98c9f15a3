"""Every word of the examples arrives, with the oldest and the newest livekit-agents."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from livekit.api import DeleteRoomRequest

from agent_bridge.protocol import Utterance
from tests.attach.conftest import SESSION, dispatch
from tests.attach.people import Pcm, RoomPerson, open_room, person
from tests.attach.programs import NEWEST, AgentProgram
from tests.faults.clients.account import TYPE
from tests.livekit.hall import Hall, hall, until
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import ROOT, ServerProcess
from tests.voice.server import Notes, Server

pytestmark = pytest.mark.timeout(300)
PERSON = "person-" + SESSION
STORY = " ".join(f"And then there were {number} of them." for number in range(1, 6))
LETTERS = " ".join(4 * list("abcdefghijklmnopqrstuvwxyz"))
"""Long enough to be interrupted in the middle on a slow machine."""
SAVE = """mutation($input: SaveSessionInput!) { saveSession(input: $input) {
  isSaved createdCount conflicts { __typename } } }"""


newest = pytest.mark.parametrize("python", [NEWEST], indirect=True)
"""For server behaviour, which is the same for every version."""


def sound(seconds: float) -> Pcm:
    """Return a tone that the stand-in recogniser takes for speech."""
    at = np.arange(round(seconds * 16_000)) / 16_000
    return (8_000 * np.sin(2 * np.pi * 300 * at)).astype(np.int16)


class Example(AgentProgram):
    """An example, run the way its reader would run it."""

    def __init__(self, python: Path, name: str, livekit: LiveKitServer) -> None:
        # A unique name: LiveKit may still consider a killed worker alive.
        self.agent = f"{name}-{uuid4().hex}"
        self.livekit = livekit
        path = ROOT / "examples" / f"{name}.py"
        super().__init__([python, path, "start"], livekit, VOXQL_AGENT_NAME=self.agent)

    async def joined(self, server: Server, room: str) -> Notes:
        """Open a room with the agent, and wait until it is ready."""
        notes = server.notebook.of(SESSION)
        await open_room(self.livekit, room, self.agent, {"theirs": 1, **dispatch(server)})
        await server.notebook.until(lambda: notes.is_ready, 90)
        return notes


@dataclass
class Examples:
    """Both examples."""

    minimal: Example
    handoff: Example


@pytest.fixture(scope="module")
def examples(python: Path, livekit: LiveKitServer) -> Iterator[Examples]:
    """Both examples, running side by side; each holds one conversation after another."""
    with (
        Example(python, "livekit_minimal", livekit) as minimal,
        Example(python, "livekit_handoff", livekit) as handoff,
    ):
        for program in (minimal, handoff):
            program.wait_for("registered worker")
        yield Examples(minimal, handoff)


@pytest.fixture
def room() -> str:
    return f"room-{uuid4().hex}"


def settled(notes: Notes, role: str) -> list[Utterance]:
    """Return the last final of each of a role's segments."""
    return list({said.segment: said for said in notes.finals(role)}.values())


async def replied(server: Server, notes: Notes, count: int) -> None:
    try:
        await server.notebook.until(lambda: len(settled(notes, "AGENT")) >= count, 90)
    except TimeoutError:
        # pytest shows it with the failure.
        print(*(f"{said.role} {said.final} {said.text}" for _, said in notes.utterances), sep="\n")
        raise


async def shows_the_same(notes: Notes, someone: RoomPerson) -> None:
    """Check that the room's segments are those reported, so saving them adds no row."""

    def kept(role: str) -> set[str]:
        return {said.segment for said in notes.finals(role)}

    def shown(*, of_me: bool) -> set[str]:
        return {shown.segment for shown in someone.finals(of_me=of_me)}

    await someone.until(lambda: len(shown(of_me=False)) >= len(kept("AGENT")))
    assert kept("USER") == shown(of_me=True)
    assert kept("AGENT") == shown(of_me=False)


async def test_the_minimal_agent_tells_both_sides(
    examples: Examples, server: Server, livekit: LiveKitServer, room: str
) -> None:
    """Interims and finals under the room's ids, states, a typed line, an interruption, the end."""
    program = examples.minimal
    notes = await program.joined(server, room)
    async with person(livekit, room, PERSON) as someone:
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
        await shows_the_same(notes, someone)

        server.type(SESSION, "line-1", "and typed")
        await replied(server, notes, 2)
        assert settled(notes, "AGENT")[1].text == "You said: and typed"
        assert len(settled(notes, "USER")) == 1
        states = [state for _, state in notes.states]
        assert states.index("LISTENING") < states.index("SPEAKING")

        server.type(SESSION, "line-2", LETTERS)
        # Newer versions ignore the person in the first three seconds of a reply.
        await server.notebook.until(
            lambda: any(" o p q" in said.text for _, said in notes.utterances), 90
        )
        await someone.speak(sound(1.6))
        await replied(server, notes, 4)
        _, _, cut, answer = settled(notes, "AGENT")
        whole = f"You said: {LETTERS}"
        assert cut.interrupted
        assert whole.startswith(cut.text.strip())
        assert cut.text.strip() != whole
        assert answer.text == "You said: What a lovely day this is."
        await shows_the_same(notes, someone)

        server.stop(SESSION)
        await server.notebook.until(lambda: notes.byes, 90)
        assert notes.byes == ["STOPPED"]
        await someone.until(lambda: not someone.agents())
    assert "Traceback" not in program.log, program.log


@newest
async def test_saving_what_the_room_showed_makes_no_second_row(
    examples: Examples, in_rooms: ServerProcess, livekit: LiveKitServer
) -> None:
    """A client saves what the room showed, under the room's ids."""
    async with hall(in_rooms, livekit) as on:
        started = await on.start(agentName=examples.minimal.agent)
        session, connection = started["session"]["id"], started["connection"]
        token, identity = connection["token"], f"person-{session}"
        async with person(livekit, connection["roomName"], identity, token) as someone:
            await someone.until(someone.agents)
            await someone.speak(sound(1.6))
            utterances = await kept(on, session, 2)
            await someone.until(lambda: someone.finals(of_me=False))
            messages = [
                {
                    "key": shown.segment,
                    "role": "USER" if shown.sender == identity else "AGENT",
                    "text": shown.text.strip(),
                    "timestamp": datetime.now(UTC).isoformat(),
                }
                for shown in someone.shown.values()
            ]
            saved = await on.account.ask(SAVE, {"sessionId": session, "messages": messages})
        after = (await on.read(session))["utterances"]["nodes"]
    assert [(said["role"], said["text"], said["source"]) for said in utterances] == [
        ("USER", "Good morning to you all.", "SPEECH"),
        ("AGENT", "You said: Good morning to you all.", "SPEECH"),
    ]
    assert saved == {"isSaved": True, "createdCount": 0, "conflicts": []}
    # Words are shown before their last sound is heard; the end may interrupt it.
    assert [one | {"isInterrupted": False} for one in after] == utterances


@newest
async def test_a_line_whose_agent_loses_its_room_is_answered_by_the_next(
    examples: Examples, in_rooms: ServerProcess, livekit: LiveKitServer
) -> None:
    """When the room is deleted in mid-answer, the job ends cleanly, with half an answer."""
    async with hall(in_rooms, livekit) as on:
        started = await on.start(agentName=examples.minimal.agent)
        session, room = started["session"]["id"], started["connection"]["roomName"]
        token = started["connection"]["token"]
        async with person(livekit, room, f"person-{session}", token) as someone:
            await someone.until(someone.agents)
            await on.becomes(session, "ACTIVE", 60)
            typed = {"sessionId": session, "key": "line", "text": STORY}
            await on.account.ask(TYPE, typed)
            await someone.until(lambda: someone.shown)

            await on.api.room.delete_room(DeleteRoomRequest(room=room))
        # The next agent gets the line before anybody is there to hear its answer.
        await until(partial(state_is, on, session, None))
        await until(partial(state_is, on, session, "THINKING"))
        token = (await on.join(session))["connection"]["token"]
        async with person(livekit, room, f"person-{session}", token):
            first, cut, again = await kept(on, session, 3)
        await on.save(session)
    assert (first["key"], first["text"]) == ("line", STORY)
    assert cut["isInterrupted"]
    assert cut["text"] != again["text"] == f"You said: {STORY}"
    assert again["text"].startswith(cut["text"])
    assert not again["isInterrupted"]


async def test_after_a_handoff_everything_still_arrives_until_the_agent_is_killed(
    examples: Examples, server: Server, livekit: LiveKitServer, room: str
) -> None:
    """Tools, another agent's greeting and answers arrive; a killed agent leaves its interims.

    The server sees a broken connection.
    """
    program = examples.handoff
    notes = await program.joined(server, room)
    async with person(livekit, room, PERSON) as someone:
        await someone.until(someone.agents)
        for count in (1, 2, 3):
            await someone.speak(sound(1.6))
            await replied(server, notes, count)
        said = ["When are you open?", "I have an invoice here.", "It is far too high."]
        assert [one.text for one in settled(notes, "USER")] == said
        assert [one.text for one in settled(notes, "AGENT")] == [
            "We are open from nine to five.",
            "Billing speaking.",
            "I see: It is far too high.",
        ]
        await shows_the_same(notes, someone)

        told = len(notes.utterances)
        speaking = asyncio.create_task(someone.speak(sound(5)))
        await server.notebook.until(lambda: notes.utterances[told:], 90)
        await asyncio.to_thread(program.kill)
        await server.notebook.until(lambda: notes.byes, 90)
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
    assert notes.byes == ["DISCONNECTED"]
    assert [one.text for one in settled(notes, "USER")] == said
    assert notes.utterances[-1][1].text.startswith("I")


async def kept(on: Hall, session: str, count: int) -> list[dict[str, Any]]:
    """Wait until this many utterances are final; return all."""

    async def look() -> list[dict[str, Any]] | None:
        utterances = (await on.read(session))["utterances"]["nodes"]
        return utterances if sum(said["isFinal"] for said in utterances) >= count else None

    found: list[dict[str, Any]] = await until(look, 90)
    return found


async def state_is(on: Hall, session: str, state: str | None) -> bool:
    """Return whether the session's agent is in this state; None means no agent."""
    return bool((await on.read(session))["agentState"] == state)
