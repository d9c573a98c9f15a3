"""Somebody's own agent, one of whose connections loses every packet for a while.

It has two: one to LiveKit, for signalling and sound, one to VoxQL, for the words.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.attach.people import RoomPerson, person
from tests.attach.programs import AgentProgram
from tests.e2e.sound import recording
from tests.faults.account import TYPE
from tests.livekit.hall import Hall, hall, until
from tests.livekit_server import LiveKitServer
from tests.network import Cable, island
from tests.ports import free_port
from tests.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.timeout(300), pytest.mark.own_network]

ROOM_LOST_S: Final = 10.0
"""Twice as long ends the job of an agent whom LiveKit misses; then VoxQL asks for another."""
BRIDGE_LOST_S: Final = 10.0
"""Also with a round of talk on top, less than the 20 s after which the server gives up on it."""
WITHIN_S: Final = 90.0
SHORT, LONG = recording("0880").trimmed(), recording("0870").trimmed()

Said = list[tuple[str, str]]
"""Roles and texts, in order."""


@dataclass
class Talk:
    """A conversation with an agent on an island."""

    on: Hall
    session: str
    room: str
    someone: RoomPerson
    to_livekit: Cable
    to_voxql: Cable
    notes: Path

    def committed(self, role: str | None = None) -> Said:
        """Return what the agent's session says was said, by both sides or by one."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(said, text) for said, text in map(json.loads, lines) if role in (None, said)]

    async def stored(self) -> list[dict[str, Any]]:
        return list((await self.on.read(self.session))["utterances"]["nodes"])

    async def is_stored(self) -> None:
        """Wait until all that was committed is stored, once each and in its order."""

        async def look() -> bool:
            kept = await self.stored()
            return all(one["isFinal"] for one in kept) and spoken(kept) == self.committed()

        try:
            await until(look, WITHIN_S)
        except AssertionError:
            print("committed", *self.committed(), sep="\n  ")  # pytest shows it with the failure
            print("stored", *spoken(await self.stored()), sep="\n  ")
            raise

    async def is_answered(self) -> None:
        """Speak until there is an answer: whoever is not heard says it again."""
        before = len(self.committed("AGENT"))
        async with asyncio.timeout(WITHIN_S):
            while len(self.committed("AGENT")) == before:
                await self.someone.speak(SHORT.pcm, then=3.0)

    def shown_of_agent(self) -> dict[str, str]:
        """Return what the room has shown of the agent until now, by segment."""
        me = self.someone.identity
        return {one.segment: one.text for one in self.someone.shown.values() if one.sender != me}

    async def is_named_as_shown(self) -> None:
        """Wait until whoever saves what the room has shown of the agent has no second row."""

        async def look() -> bool:
            kept = {one["key"] for one in await self.stored()}
            return self.shown_of_agent().keys() <= kept

        await until(look, WITHIN_S)

    async def attempts(self) -> list[int]:
        """Return which agents were asked for."""
        asked = await self.on.api.agent_dispatch.list_dispatch(self.room)
        return [json.loads(one.metadata)["voxql"]["attempt"] for one in asked]


def spoken(utterances: list[dict[str, Any]]) -> Said:
    """Return what the agent has to report; typed lines are the server's own."""
    return [(one["role"], one["text"]) for one in utterances if one["source"] != "TYPED"]


@asynccontextmanager
async def talk(python: Path, folder: Path) -> AsyncIterator[Talk]:
    """Let somebody talk with an agent that is on an island, behind two cables."""
    async with AsyncExitStack() as stack:
        place = stack.enter_context(island(cables=2))
        to_livekit, to_voxql = place.cables
        livekit = LiveKitServer(
            folder / "livekit", host=to_livekit.here, device=to_livekit.device_here
        )
        stack.callback(livekit.kill)
        await asyncio.to_thread(livekit.start)
        port = free_port()
        server = ServerProcess(
            folder / "server",
            VOXQL_AGENT="livekit",
            VOXQL_START_TIMEOUT_S="60",
            VOXQL_HOST=to_voxql.here,
            VOXQL_PORT=str(port),
            VOXQL_PUBLIC_URL=f"http://{to_voxql.here}:{port}",
            **livekit.settings,
        )
        await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        on = await stack.enter_async_context(hall(server, livekit))
        program = stack.enter_context(
            AgentProgram(
                [*place.prefix, python, ROOT / "tests" / "attach" / "noting.py", "start"],
                livekit,
                VOXQL_AGENT_NAME=on.agent_name,
                PYTHONPATH=f"{ROOT}:{ROOT / 'examples'}",
                NOTED=str(folder / "noted"),
            )
        )
        await asyncio.to_thread(program.wait_for, "registered worker")
        started = await on.start()
        session, connection = started["session"]["id"], started["connection"]
        someone = await stack.enter_async_context(
            person(livekit, connection["roomName"], f"person-{session}", connection["token"])
        )
        await someone.until(someone.agents, WITHIN_S)
        await on.becomes(session, "ACTIVE", WITHIN_S)
        room = connection["roomName"]
        yield Talk(on, session, room, someone, to_livekit, to_voxql, folder / "noted")


async def test_words_said_while_the_room_is_lost_are_kept_once(
    python: Path, tmp_path: Path
) -> None:
    """In mid-sentence: the agent answers a typed line meanwhile, and hears again afterwards."""
    async with talk(python, tmp_path) as conversation:
        on, session = conversation.on, conversation.session
        await conversation.is_answered()
        before = len(await conversation.stored())
        speaking = asyncio.create_task(conversation.someone.speak(LONG.pcm))

        async def is_heard() -> bool:
            return len(await conversation.stored()) > before

        await until(is_heard, WITHIN_S)

        conversation.to_livekit.lose()
        lost = asyncio.create_task(asyncio.sleep(ROOM_LOST_S))  # this is what happens here
        shown = conversation.shown_of_agent()
        answers = len(conversation.committed("AGENT"))
        await on.account.ask(TYPE, {"sessionId": session, "key": "typed", "text": "typed"})

        async def is_answered_meanwhile() -> bool:
            return len(conversation.committed("AGENT")) > answers

        await until(is_answered_meanwhile, WITHIN_S)
        assert conversation.shown_of_agent() == shown, "the room was not lost"
        await lost
        conversation.to_livekit.carry()
        await speaking

        await conversation.is_answered()
        await conversation.is_stored()
        assert (await on.read(session))["status"] == "ACTIVE"
        assert await conversation.attempts() == [1]
        assert len(conversation.someone.agents()) == 1
        await conversation.is_named_as_shown()


async def test_words_said_while_the_bridge_is_lost_are_kept_once(
    python: Path, tmp_path: Path
) -> None:
    """Both sides go on talking; all of it arrives when the connection is back."""
    async with talk(python, tmp_path) as conversation:
        on, session = conversation.on, conversation.session
        await conversation.is_answered()
        await conversation.is_stored()

        conversation.to_voxql.lose()
        lost = asyncio.create_task(asyncio.sleep(BRIDGE_LOST_S))  # this is what happens here
        while not lost.done():
            await conversation.is_answered()
        assert len(await conversation.stored()) < len(conversation.committed())
        conversation.to_voxql.carry()

        await conversation.is_stored()
        await conversation.is_answered()
        await conversation.is_stored()
        assert (await on.read(session))["status"] == "ACTIVE"
        assert await conversation.attempts() == [1]
