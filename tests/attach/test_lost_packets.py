"""An integrator's agent, one of whose connections loses every packet for a while.

It has two: to LiveKit, for signalling and sound, and to VoxQL, for the words.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from livekit import agents

from tests.attach.people import RoomPerson, person
from tests.attach.programs import NEWEST, AgentProgram
from tests.faults.clients.account import TYPE
from tests.livekit.hall import Hall, hall, until
from tests.network import Cable, island
from tests.programs.livekit_server import LiveKitServer
from tests.programs.ports import free_port
from tests.programs.server_process import ROOT, ServerProcess
from tests.speech.sound import recording

pytestmark = [pytest.mark.timeout(300), pytest.mark.own_network]

WITHIN_S: Final = 90.0
AGAIN_S: Final = 5.0
"""A person who has not been heard after this time repeats the words."""
SHORT, LONG = recording("0880"), recording("0870")

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
        """Return what the agent's session committed, for both roles or one."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(said, text) for said, text in map(json.loads, lines) if role in (None, said)]

    async def stored(self) -> list[dict[str, Any]]:
        return list((await self.on.read(self.session))["utterances"]["nodes"])

    async def is_stored(self) -> None:
        """Wait until everything committed is stored once and in order."""

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
        """Speak until there is an answer; repeat what was not heard."""
        answers, heard = len(self.committed("AGENT")), len(self.committed("USER"))

        async def look() -> bool:
            return len(self.committed("USER")) > heard

        async with asyncio.timeout(WITHIN_S):
            is_heard = False
            while not is_heard:
                await self.someone.speak(SHORT.trimmed().pcm)
                with suppress(AssertionError):
                    is_heard = await until(look, AGAIN_S)
        # Speaking again before the end of the answer would interrupt it.
        await self.has_answered(answers + 1)

    async def has_answered(self, count: int) -> None:
        """Wait until the agent has answered this many times."""

        async def look() -> bool:
            return len(self.committed("AGENT")) >= count

        await until(look, WITHIN_S)

    def shown_of_agent(self) -> dict[str, str]:
        """Return the agent's text in the room so far, by segment."""
        me = self.someone.identity
        return {one.segment: one.text for one in self.someone.shown.values() if one.sender != me}

    async def is_named_as_shown(self) -> None:
        """Wait until every agent segment shown in the room is stored under the same id."""

        async def look() -> bool:
            kept = {one["key"] for one in await self.stored()}
            return self.shown_of_agent().keys() <= kept

        await until(look, WITHIN_S)

    async def attempts(self) -> list[int]:
        """Return the attempt numbers of the room's dispatches."""
        asked = await self.on.api.agent_dispatch.list_dispatch(self.room)
        return [json.loads(one.metadata)["voxql"]["attempt"] for one in asked]


def spoken(utterances: list[dict[str, Any]]) -> Said:
    """Return the utterances that the agent reports; typed lines come from the server."""
    return [(one["role"], one["text"]) for one in utterances if one["source"] != "TYPED"]


@asynccontextmanager
async def talk(wheel: Path, folder: Path) -> AsyncIterator[Talk]:
    """Let a person talk with an agent that is on an island, behind two cables.

    It runs with the tests' livekit-agents: nothing can be installed on this network.
    """
    assert agents.__version__ == NEWEST
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
                [*place.prefix, sys.executable, ROOT / "tests" / "attach" / "noting.py", "start"],
                livekit,
                VOXQL_AGENT_NAME=on.agent_name,
                PYTHONPATH=f"{wheel}:{ROOT}:{ROOT / 'examples'}",
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


async def test_words_said_while_a_connection_is_lost_are_kept_once(
    wheel: Path, tmp_path: Path
) -> None:
    """With first the room, then the bridge lost, all words arrive in order; the agent stays.

    Without the room the agent answers a typed line, and hears again afterwards; without the bridge
    both sides keep talking.
    """
    async with talk(wheel, tmp_path) as conversation:
        on, session = conversation.on, conversation.session
        await conversation.is_answered()
        await conversation.is_stored()
        before = len(await conversation.stored())
        speaking = asyncio.create_task(conversation.someone.speak(LONG.trimmed().pcm))

        async def is_heard() -> bool:
            return len(await conversation.stored()) > before

        await until(is_heard, WITHIN_S)

        conversation.to_livekit.lose()
        shown, answers = conversation.shown_of_agent(), len(conversation.committed("AGENT"))
        # The agent answers half a sentence, although nobody can hear it.
        await conversation.has_answered(answers + 1)
        await on.account.ask(TYPE, {"sessionId": session, "key": "typed", "text": "typed"})
        await conversation.has_answered(answers + 2)
        assert conversation.shown_of_agent() == shown, "the room was not lost"
        # The rest of the sentence would interrupt the agent.
        await speaking
        conversation.to_livekit.carry()

        await conversation.is_answered()
        await conversation.is_stored()
        await conversation.is_named_as_shown()

        conversation.to_voxql.lose()
        await conversation.is_answered()
        assert len(await conversation.stored()) < len(conversation.committed())
        conversation.to_voxql.carry()

        await conversation.is_stored()
        await conversation.is_answered()
        await conversation.is_stored()
        assert (await on.read(session))["status"] == "ACTIVE"
        assert await conversation.attempts() == [1]
        assert len(conversation.someone.agents()) == 1
