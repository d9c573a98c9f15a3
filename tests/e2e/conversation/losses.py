"""Losses in the middle of a conversation: the person, the agent, the server."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psutil
from websockets.exceptions import ConnectionClosed

from tests.e2e.client.call import Call
from tests.e2e.client.person import Person
from tests.e2e.client.player import RATE
from tests.e2e.client.seen import Json
from tests.e2e.conversation.saying import begin_sentence, say
from tests.programs.server_process import ServerProcess
from tests.speech.sound import recording
from tests.storage.disk import rows

AFTER: Final = "0880"
"""The clip that is said after the recovery."""
WITHIN_S: Final = 60.0
_HAS_LEFT: Final = "SELECT person_back_by IS NOT NULL FROM sessions WHERE id = ?"
_IS_ANSWERED: Final = "SELECT NOT awaits_agent FROM utterances WHERE session_id = ? AND key = ?"
_SPOKEN: Final = """
SELECT role, text, is_final FROM utterances WHERE session_id = ? ORDER BY sort_key"""
_STATE: Final = """
SELECT status, end_reason, agent_back_by IS NOT NULL FROM sessions WHERE id = ?"""


@dataclass
class Loss:
    """The outcome of a loss in mid-sentence, after the recovery."""

    kept: list[Json]
    """The utterances since the loss."""
    statuses: list[str]
    """The session's statuses since the loss."""
    is_all_seen: bool
    """Whether the person has seen exactly the stored utterances."""
    key: str = ""
    """The key of the line or sentence that was cut off."""


@dataclass
class Stop:
    """The outcome of a server stop in mid-sentence."""

    call: Call
    status: int
    """The server's exit status."""
    spoken: list[tuple[Any, ...]]
    """The conversation's rows in the database: role, text, finality."""
    state: list[tuple[Any, ...]]
    """The session's status, its end reason, and whether an agent may return."""


async def lose_person(server: ServerProcess, person: Person, call: Call) -> Loss:
    """Drop the person's connection until the server has noticed, then rejoin."""
    before, statuses = set(call.held), len(call.statuses)
    cut = await begin_sentence(call)
    await _stored(server, (False,), _HAS_LEFT, call.id)
    await call.drop()
    await _stored(server, (True,), _HAS_LEFT, call.id)
    call.microphone.forget()
    await call.rejoin()
    await say(call, recording(AFTER))
    key = call.interims(cut.began)[0].key
    return await _loss(person, call, before, statuses, key)


async def lose_agent(server: ServerProcess, person: Person, call: Call) -> Loss:
    """Kill the agent while it answers a typed line; type another before the next agent joins."""
    before, statuses = set(call.held), len(call.statuses)
    began = asyncio.get_running_loop().time()
    replies = len(call.replies)
    await person.types(call.id, "What can you do?")
    await call.until(lambda: len(call.replies) > replies and call.replies[-1].samples > RATE)

    for process in psutil.Process(server.process.pid).children():
        process.kill()
    key = await person.types(call.id, "What is seven times eight?")

    await call.until(lambda: call.statuses[statuses:] == ["STARTING", "ACTIVE"])
    await call.until(lambda: len(call.finals("AGENT", began)) == 2)
    # If the server were killed before it stored that, the next agent would answer again.
    await _stored(server, (True,), _IS_ANSWERED, call.id, key)
    return await _loss(person, call, before, statuses, key)


async def stop(server: ServerProcess, person: Person) -> Stop:
    """Start a conversation, and stop the server in mid-sentence."""
    call = await person.talk()
    await Call.__aenter__(call)
    await begin_sentence(call)
    stopping = asyncio.create_task(asyncio.to_thread(server.stop))
    with suppress(ConnectionClosed):  # the media connection ends first
        await call.until(lambda: call.end)
    status = await stopping
    await asyncio.wait(call._tasks)  # both streams end with the server
    await call.hang_up()
    database = server.data_dir / "voxql.db"
    return Stop(call, status, rows(database, _SPOKEN, call.id), rows(database, _STATE, call.id))


async def _stored(server: ServerProcess, row: tuple[Any, ...], query: str, *values: str) -> None:
    """Wait until a query of the database has this row as its result, which no client can see."""
    async with asyncio.timeout(WITHIN_S):
        while rows(server.data_dir / "voxql.db", query, *values) != [row]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _loss(
    person: Person,
    call: Call,
    before: set[str],
    statuses: int,
    key: str,
) -> Loss:
    kept = await person.utterances(call.id)
    is_all_seen = {one["key"] for one in kept} == set(call.held)
    new = [one for one in kept if one["key"] not in before]
    return Loss(new, call.statuses[statuses:], is_all_seen, key)
