"""Somebody's own LiveKit agent with the real server: what is kept, and what saving adds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from livekit.api import DeleteRoomRequest

from tests.attach.people import person
from tests.attach.programs import AgentProgram
from tests.attach.test_rooms import sound
from tests.conftest import StartServer
from tests.faults.account import TYPE
from tests.livekit.hall import Hall, hall, until
from tests.livekit_server import LiveKitServer
from tests.server_process import ROOT, ServerProcess

pytestmark = pytest.mark.timeout(300)
STORY = " ".join(f"And then there were {number} of them." for number in range(1, 9))
SAVE = """mutation($input: SaveSessionInput!) { saveSession(input: $input) {
  isSaved createdCount conflicts { __typename } } }"""


async def kept(on: Hall, session: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many utterances are final, and return all."""
    async with asyncio.timeout(90):
        while True:
            utterances = (await on.read(session))["utterances"]["nodes"]
            if sum(said["isFinal"] for said in utterances) >= count:
                return list(utterances)
            await asyncio.sleep(0.1)


async def state_is(on: Hall, session: str, state: str | None) -> bool:
    """Whether the session's agent does this; None: there is none."""
    return bool((await on.read(session))["agentState"] == state)


@asynccontextmanager
async def begun(
    python: Path, server: ServerProcess, livekit: LiveKitServer
) -> AsyncIterator[tuple[Hall, str, dict[str, Any]]]:
    """Begin a conversation with the minimal example; yields the session's id and its connection."""
    async with hall(server, livekit) as on:
        command: list[str | Path] = [python, ROOT / "examples" / "livekit_minimal.py", "start"]
        with AgentProgram(command, livekit, VOXQL_AGENT_NAME=on.agent_name) as program:
            await asyncio.to_thread(program.wait_for, "registered worker")
            started = await on.start()
            yield on, started["session"]["id"], started["connection"]


async def test_saving_what_the_room_showed_makes_no_second_row(
    python: Path, start_server: StartServer, livekit: LiveKitServer
) -> None:
    """A client that watches the room and saves what it saw under the room's ids."""
    server = start_server(VOXQL_AGENT="livekit", VOXQL_START_TIMEOUT_S="60", **livekit.settings)
    async with begun(python, server, livekit) as (on, session, connection):
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
    # Their words are shown before the last sound is heard, which the end may cut off.
    assert [one | {"isInterrupted": False} for one in after] == utterances


async def test_a_line_whose_agent_loses_its_room_is_answered_by_the_next(
    python: Path, start_server: StartServer, livekit: LiveKitServer
) -> None:
    """Somebody deletes the room in mid-answer: the job ends in good order, with half an answer."""
    server = start_server(VOXQL_AGENT="livekit", VOXQL_START_TIMEOUT_S="60", **livekit.settings)
    async with begun(python, server, livekit) as (on, session, connection):
        room = connection["roomName"]
        async with person(livekit, room, f"person-{session}", connection["token"]) as someone:
            await someone.until(someone.agents)
            await on.becomes(session, "ACTIVE", 60)
            typed = {"sessionId": session, "key": "line", "text": STORY}
            await on.account.ask(TYPE, typed)
            await someone.until(lambda: someone.shown)

            await on.api.room.delete_room(DeleteRoomRequest(room=room))
        # The next one has the line before there is somebody to hear its answer.
        await until(partial(state_is, on, session, None))
        await until(partial(state_is, on, session, "THINKING"))
        token = (await on.join(session))["connection"]["token"]
        async with person(livekit, room, f"person-{session}", token):
            first, cut, again = await kept(on, session, 3)
    assert (first["key"], first["text"]) == ("line", STORY)
    assert cut["isInterrupted"]
    assert cut["text"] != again["text"] == f"You said: {STORY}"
    assert again["text"].startswith(cut["text"])
    assert not again["isInterrupted"]
