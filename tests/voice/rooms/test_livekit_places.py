"""The places of `voxql agent --livekit` with a real LiveKit server."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.attach.people import delete_room, open_room, person
from tests.attach.programs import AgentProgram
from tests.programs.livekit_server import LiveKitServer
from tests.voice.rooms.test_livekit import Talk, voxql_agent
from tests.voice.server import Server

pytestmark = pytest.mark.timeout(600)

PLACES = 4
"""With three of four taken, the share is above LiveKit's default load limit for offering jobs."""
NAME = "of-four"


@pytest.fixture
def crowded(livekit: LiveKitServer, tmp_path: Path) -> Iterator[AgentProgram]:
    with voxql_agent(livekit, tmp_path, NAME, VOXQL_AGENT_PLACES=str(PLACES)) as program:
        program.wait_for("registered at LiveKit")
        yield program


def talks(server: Server, livekit: LiveKitServer, prefix: str, count: int) -> list[Talk]:
    return [Talk(server, livekit, f"ses_{prefix}{number}", NAME) for number in range(count)]


async def seated(server: Server, livekit: LiveKitServer, name: str) -> Talk:
    """Start a conversation; retry if no agent comes, as LiveKit learns of a free place late."""
    for patience in (5, 10, 20, 40):
        talk = Talk(server, livekit, f"ses_{name}_{patience}", NAME)
        await talk.ask()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await talk.until(lambda talk=talk: talk.notes.is_ready)
            return talk
        await delete_room(livekit, talk.room)
    raise AssertionError("nobody came, however often it was asked for")


async def all_seated(server: Server, livekit: LiveKitServer, prefix: str) -> list[Talk]:
    """Take all places at once."""
    return await asyncio.gather(
        *(seated(server, livekit, f"{prefix}{number}") for number in range(PLACES))
    )


async def end(talks: list[Talk]) -> None:
    for talk in talks:
        talk.server.stop(talk.session)
    for talk in talks:
        await talk.until(lambda talk=talk: talk.notes.byes)


async def until_all_are_free(program: AgentProgram) -> None:
    """Wait until the newest log line about places says that none is taken."""

    def newest() -> str:
        return next((line for line in reversed(program.lines) if "places are taken" in line), "")

    await asyncio.to_thread(
        program.wait_until, lambda: f"0 of {PLACES} places are taken" in newest(), 90
    )
    assert f"0 of {PLACES} places are taken" in newest(), program.log


async def test_every_place_is_given_again_until_the_worker_is_stopped(
    crowded: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """The places are taken one after another, then all at once.

    On SIGTERM in mid-sentence, the words become final, and another agent may continue.
    """
    first = talks(server, livekit, "p", PLACES)
    for talk in first:
        await talk.begin()
    assert f"all {PLACES} places are taken" in crowded.log
    await end(first)
    await until_all_are_free(crowded)
    await end(await all_seated(server, livekit, "q"))
    await until_all_are_free(crowded)

    talk = await seated(server, livekit, "stopped")
    async with person(livekit, talk.room, talk.identity) as someone:
        await talk.interrupted(someone)
        assert await asyncio.to_thread(crowded.terminate) == 0
        assert await talk.ended() == ["RESTARTING"]
    assert len(talk.notes.finals("USER")) == 1
    assert "Traceback" not in crowded.log, crowded.log


async def test_conversations_that_are_broken_off_take_no_place_along_until_it_is_killed(
    crowded: AgentProgram, server: Server, livekit: LiveKitServer
) -> None:
    """Rooms are deleted at once or after the agent has joined, while people come and go.

    On SIGKILL in mid-sentence, the newest interim is kept, and the connection breaks.
    """
    for number in range(2):
        early = f"early-{number}"
        ready, left = talks(server, livekit, f"r{number}", 2)
        # The agent may be on its way, and enter a room that LiveKit creates for it.
        refused = {"url": server.url, "session": "ses_gone", "attempt": 1, "token": "worthless"}
        await asyncio.gather(
            open_room(livekit, early, NAME, {"voxql": refused}), ready.begin(), left.begin()
        )
        async with person(livekit, left.room, left.identity):
            await asyncio.gather(delete_room(livekit, early), delete_room(livekit, ready.room))
        await delete_room(livekit, left.room)
        await ready.until(lambda talk=ready: talk.notes.byes)
        await left.until(lambda talk=left: talk.notes.byes)
        # A place is freed a little after the agent's bye; a refused job is not offered again.
        await until_all_are_free(crowded)
    await end(await all_seated(server, livekit, "s"))
    await until_all_are_free(crowded)

    talk = await seated(server, livekit, "killed")
    async with person(livekit, talk.room, talk.identity) as someone:
        await talk.interrupted(someone)
        crowded.kill()
        assert await talk.ended() == ["DISCONNECTED"]
    assert talk.notes.finals("USER") == []
