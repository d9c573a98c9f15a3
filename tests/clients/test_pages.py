"""The clients of docs/clients resume, stop and back off as their pages promise."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.faults.clients.account import BEGIN, Account
from tests.faults.servers.stage import Agent, Stage, stage
from tests.programs.server_process import ROOT
from tests.programs.shared import Shared, State
from tests.wire import Wire

PAGES: Final = ROOT / "docs" / "clients"
HERE: Final = Path(__file__).parent
GQL: Final = "4.4.0"
WITHIN_S: Final = 60.0
SOON_S: Final = 20.0
NOBODYS: Final = "ses_01kaaaaaaaaaaaaaaaaaaaaaaa"
SAVE: Final = """mutation($input: SaveSessionInput!) { saveSession(input: $input) {
  session { id } } }"""
RUN_GQL: Final = """
import json, os, sys
{block}
def show(utterances):
    if "SHOW_FAILS" in os.environ:
        raise TimeoutError("the reader's own")
    for one in utterances:
        print(json.dumps(one), flush=True)
asyncio.run(watch(*sys.argv[1:], show))
print(json.dumps("over"))
"""


def block(page: str, language: str, number: int = 0) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    return str(found[number])


@pytest.fixture(scope="session")
def with_gql(shared: Shared) -> Path:
    """A Python environment with gql, which needs another graphql-core than the server."""
    folder = ROOT / ".cache" / "clients" / f"gql-{GQL}"
    python = folder / "bin" / "python"

    def install(_: Path) -> State:
        if not (folder / "installed").exists():
            uv = [sys.executable, str(ROOT / "scripts" / "uv.py")]
            packages = ["pip", "install", "--quiet", "--python", str(python)]
            for command in (
                [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
                [*uv, *packages, f"gql[websockets]=={GQL}"],
            ):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
            (folder / "installed").touch()
        return {"python": str(python)}

    return Path(shared.once("gql", install)["python"])


class Program:
    """A client in its own process, with its output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def ended(self, within: float = WITHIN_S) -> int:
        async with asyncio.timeout(within):
            status = await self.process.wait()
            await self._reading
        return status

    async def complaint(self) -> str:
        """Return its error output."""
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    @property
    def finals(self) -> list[str]:
        """The final texts in order; a higher revision replaces a lower one."""
        held: dict[str, Any] = {}
        for one in map(json.loads, self.lines):
            if one != "over" and one["revision"] > held.get(one["id"], {"revision": 0})["revision"]:
                held[one["id"]] = one
        finals = [one for one in held.values() if one["isFinal"]]
        return [one["text"] for one in sorted(finals, key=lambda one: one["sortKey"])]


@asynccontextmanager
async def program(*command: str, folder: Path = HERE, **environment: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
        cwd=folder,
        limit=1024 * 1024,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def command_of(page: str, url: str, token: str, session: str, python: Path) -> list[str]:
    address = url.replace("http", "ws", 1) + "/graphql"
    if page == "gql.md":
        code = RUN_GQL.replace("{block}", block(page, "python"))
        return [str(python), "-c", code, address, token, session]
    return ["node", "run.mjs", str(PAGES / page), address, token, session]


READING: Final = ["bash", "-eu", "-c", block("curl.md", "sh", 1)]
CLIENTS = ["graphql-ws.md", "urql.md", "apollo.md", "relay.md", "gql.md"]


@pytest.mark.parametrize("page", CLIENTS)
async def test_a_client_that_is_cut_off_misses_nothing(
    tmp_path: Path, page: str, with_gql: Path
) -> None:
    """Cut off in mid-sentence, it resumes after its cursor and stops when the stream is over."""
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        session, agent = await on.conversation()
        command = command_of(page, wire.url, on.account.token, session, with_gql)
        async with program(*command) as client:
            agent.say("one")
            segment = agent.say("tw", final=False)
            await agent.answered()
            await client.until(lambda: any('"tw"' in line for line in client.lines))
            before = wire.connections

            wire.cut()
            agent.say("two", segment=segment)
            for number in range(20):
                agent.say(f"said while it was away {number}")
            await agent.settled()
            await client.until(lambda: len(client.finals) == 22)
            agent.say("and after")
            await agent.settled()
            await client.until(lambda: "and after" in client.finals)
            await on.account.ask(SAVE, {"sessionId": session, "messages": []})
            await agent.bye("STOPPED")

            assert await client.ended() == 0
            assert client.lines[-1] == '"over"'
            assert client.finals == list(agent.promised.values())
            assert wire.connections > before


@pytest.mark.parametrize("page", CLIENTS)
async def test_a_client_that_is_refused_does_not_try_again(
    tmp_path: Path, page: str, with_gql: Path
) -> None:
    """For a session that doesn't exist, it reports the error and ends."""
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        command = command_of(page, wire.url, on.account.token, NOBODYS, with_gql)
        async with program(*command) as client:
            assert await client.ended() != 0
            assert client.lines == []
            assert wire.connections == 1


@pytest.mark.parametrize("page", CLIENTS)
async def test_a_client_with_a_bad_token_does_not_try_again(
    tmp_path: Path, page: str, with_gql: Path
) -> None:
    """With a revoked or an unknown token, it reports the error and ends."""
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        session, _ = await on.conversation()
        await on.account.in_browser(
            f'mutation {{ revokeApiToken(input: {{id: "{on.account.token_id}"}}) '
            "{ revokedApiTokenId } }"
        )
        for tries, token in enumerate((on.account.token, "vox_never"), 1):
            command = command_of(page, wire.url, token, session, with_gql)
            async with program(*command) as client:
                assert await client.ended(SOON_S) != 0
                assert client.lines == []
                assert "4403" in await client.complaint()
                assert wire.connections == tries


@pytest.mark.parametrize("page", CLIENTS)
@pytest.mark.parametrize("codes", [(4500, 4400), (4408, 4401), (1012, 4403)])
async def test_a_client_knows_the_close_codes_that_are_final(
    page: str, codes: tuple[int, int], with_gql: Path
) -> None:
    """It reconnects after the first code and ends after the second."""
    left = list(codes)

    async def close(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(left.pop(0))

    protocol = Subprotocol("graphql-transport-ws")
    async with serve(close, "127.0.0.1", 0, subprotocols=[protocol]) as server:
        [at] = server.sockets
        url = f"http://127.0.0.1:{at.getsockname()[1]}"
        async with program(*command_of(page, url, "vox_any", NOBODYS, with_gql)) as client:
            assert await client.ended(SOON_S) != 0
            assert str(codes[1]) in await client.complaint()
            assert left == []


@pytest.mark.parametrize("page", CLIENTS)
async def test_an_exception_of_the_readers_own_is_not_a_lost_connection(
    tmp_path: Path, page: str, with_gql: Path
) -> None:
    """The exception propagates, and the client doesn't retry."""
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        session, agent = await on.conversation()
        agent.say("one")
        await agent.settled()
        command = command_of(page, wire.url, on.account.token, session, with_gql)
        async with program(*command, SHOW_FAILS="1") as client:
            assert await client.ended(SOON_S) != 0
            assert "the reader's own" in await client.complaint()
            assert wire.connections == 1


@asynccontextmanager
async def relay_that_watches(folder: Path) -> AsyncIterator[tuple[Wire, Agent, Program]]:
    """Run the Relay client until it has shown the first final."""
    async with stage(folder) as on, Wire(on.server.port) as wire:
        session, agent = await on.conversation()
        command = command_of("relay.md", wire.url, on.account.token, session, folder)
        async with program(*command) as client:
            agent.say("one")
            await client.until(lambda: client.finals == ["one"])
            yield wire, agent, client


async def test_relay_lets_go_of_a_stream_that_came_back(tmp_path: Path) -> None:
    """Its socket closes too: the process ends by itself."""
    async with relay_that_watches(tmp_path) as (wire, agent, client):
        wire.cut()
        agent.say("two")
        await client.until(lambda: client.finals == ["one", "two"])
        client.process.send_signal(signal.SIGTERM)
        assert await client.ended(SOON_S) == 0


async def test_relay_does_not_come_back_once_it_is_let_go(tmp_path: Path) -> None:
    """A component that unmounts during a disconnect leaves nothing behind."""
    async with relay_that_watches(tmp_path) as (wire, _, client):
        wire.is_refusing = True
        wire.cut()
        await wire.refuse(1)
        client.process.send_signal(signal.SIGTERM)
        wire.is_refusing = False
        assert await client.ended(SOON_S) == 0
        assert client.lines[-1] == '"over"'


async def test_curl_gets_a_token_and_reads_on(tmp_path: Path) -> None:
    """The recipe works as documented, and reading survives a disconnect until the session ends.

    The file has a late utterance in its place.
    """
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        recipe = ["bash", "-euc", block("curl.md", "sh")]
        async with program(*recipe, VOXQL_URL=on.server.url) as getting:
            assert await getting.ended() == 0
        [token] = getting.lines
        assert re.fullmatch(r"vox_\S+", token)
        person = Account(on.server.url, on.journal, token=token)
        person.http = on.account.http
        job = await begun_by(person, on)
        agent = await on.agent(job)
        agent.say('one "quoted"')
        await agent.settled()
        late = agent.say("la", final=False)
        await agent.answered()
        given = {"VOXQL_URL": wire.url, "VOXQL_TOKEN": token, "SESSION": job.session}
        async with program(*READING, folder=tmp_path, **given) as client:
            await client.until(lambda: client.lines)
            wire.is_refusing = True
            wire.cut()
            await wire.refuse(1)
            agent.say("two")
            await agent.settled()
            wire.is_refusing = False
            await client.until(lambda: len(client.lines) == 2)
            agent.say("late", segment=late)
            await agent.settled()
            await person.ask(SAVE, {"sessionId": job.session, "messages": []})
            await agent.bye("STOPPED")

            assert await client.ended() == 0
            one, two = '"text":"one \\"quoted\\""', '"text":"two"'
            assert client.lines == [one, two]
            assert written(tmp_path, job.session) == [one, '"text":"late"', two]


async def test_curl_reads_all_pages_of_what_is_over(tmp_path: Path) -> None:
    """It reads two full pages and one more utterance."""
    async with stage(tmp_path) as on:
        session, agent = await on.conversation()
        when = {"role": "USER", "timestamp": "2026-11-22T17:30:00Z"}
        said = [{"key": f"k{n}", "text": f"line {n}", **when} for n in range(201)]
        await on.account.ask(SAVE, {"sessionId": session, "messages": said})
        await agent.bye("STOPPED")
        given = {"VOXQL_URL": on.server.url, "VOXQL_TOKEN": on.account.token, "SESSION": session}
        async with program(*READING, folder=tmp_path, **given) as client:
            assert await client.ended() == 0
        assert client.lines == [f'"text":"line {n}"' for n in range(201)]
        assert written(tmp_path, session) == client.lines


async def test_curl_with_a_bad_token_does_not_try_again(tmp_path: Path) -> None:
    """It reports the error and ends."""
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        given = {"VOXQL_URL": wire.url, "VOXQL_TOKEN": "vox_never", "SESSION": NOBODYS}
        async with program(*READING, folder=tmp_path, **given) as client:
            assert await client.ended(SOON_S) != 0
            assert "UNAUTHENTICATED" in await client.complaint()
            assert wire.connections == 1


def written(folder: Path, session: str) -> list[str]:
    return (folder / f"{session}.txt").read_text().splitlines()


async def begun_by(person: Account, on: Stage) -> Any:
    await person.ask(BEGIN, {})
    async with asyncio.timeout(10):
        return await on.jobs.get()


def test_every_page_is_in_the_list() -> None:
    """The README lists every page, and each listed page is tested."""
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (PAGES / "README.md").read_text())
    assert set(listed) == {*CLIENTS, "curl.md"}
    assert {path.name for path in PAGES.glob("*.md")} == {*listed, "README.md"}
