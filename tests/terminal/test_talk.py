"""`voxql talk` as a program, against a real server with an agent that follows a script."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent_bridge.client import BridgeClient, InputCommand, new_segment
from agent_bridge.protocol import Utterance
from agent_bridge.worker_client import StartJob, Worker
from tests.e2e.sound import silence, write_wav
from tests.server_process import ROOT, ServerProcess

KEY = "a-key-of-this-test"
Script = Callable[[BridgeClient], Awaitable[None]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose agents connect by themselves."""
    settings = {"VOXQL_AGENT": "external", "VOXQL_WORKER_KEY": KEY, "VOXQL_START_TIMEOUT_S": "2"}
    server = ServerProcess(tmp_path_factory.mktemp("server"), **settings).start()
    yield server
    server.stop()


@asynccontextmanager
async def _agent(server: ServerProcess, script: Script) -> AsyncIterator[list[StartJob]]:
    """Connect a worker that plays the script in each conversation."""
    jobs: list[StartJob] = []

    async def converse(job: StartJob) -> None:
        jobs.append(job)
        async with BridgeClient(job.url, job.bridge_token) as bridge:
            await script(bridge)

    worker = Worker(server.url, KEY, agent_names=["voxql"], places=4, on_start=converse)
    working = asyncio.create_task(worker.run())
    await worker.connected()
    try:
        yield jobs
    finally:
        await worker.stop(timeout=5)
        await asyncio.gather(working, return_exceptions=True)


class _Talk:
    """The command, while it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""

    async def until(self, text: str) -> None:
        """Wait until this has been printed."""
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while text not in self.out:
                data = await self.process.stdout.read(4_096)
                assert data, self.out
                self.out += data.decode()

    async def end(self, typed: str | None = None) -> tuple[int, str]:
        """Type the last lines, if any, and wait until it has ended."""
        async with asyncio.timeout(40):
            out, errors = await self.process.communicate(None if typed is None else typed.encode())
        assert self.process.returncode is not None
        return self.process.returncode, self.out + out.decode() + errors.decode()


async def _talk(url: str, *arguments: str, **environment: str) -> _Talk:
    return _Talk(
        await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "cli.py"), "talk", "--url", url, *arguments),
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )


def _say(bridge: BridgeClient, role: str, text: str, *, interrupted: bool = False) -> None:
    segment, now = new_segment(), datetime.now(UTC)
    for words, final in ((text[: len(text) // 2], False), (text, True)):
        bridge.utter(
            Utterance(
                segment=segment,
                role=role,  # type: ignore[arg-type] # a literal at each call
                text=words,
                final=final,
                started_at=now,
                interrupted=final and interrupted,
            )
        )


async def _echoes(bridge: BridgeClient) -> None:
    await bridge.ready()
    bridge.state("LISTENING")
    async for command in bridge.commands():
        if not isinstance(command, InputCommand):
            return
        _say(bridge, "AGENT", f"You typed {command.text}", interrupted="never mind" in command.text)


async def _hears(bridge: BridgeClient) -> None:
    """Recognise something, whatever is played."""
    await bridge.ready()
    bridge.state("LISTENING")
    _say(bridge, "USER", "What is the time in Vienna?")
    _say(bridge, "AGENT", "It is half past five.")
    async for _ in bridge.commands():
        return


def _said(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("You ", "Agent "))]


async def test_typed_lines_are_saved_and_read_back(server: ServerProcess) -> None:
    """Each line is answered before the next is sent; an interruption is marked."""
    expected = [
        "You    Hello there.",
        "Agent  You typed Hello there.",
        "You    Oh, never mind",
        "Agent  You typed Oh, never mind [interrupted]",
    ]
    async with _agent(server, _echoes):
        talk = await _talk(server.url)
        status, out = await talk.end("Hello there.\n\n  Oh, never mind")

    assert status == 0, out
    live, _, back = out.partition("Read back from the history:")
    assert _said(live) == expected
    assert _said(back) == expected
    assert "Hello there, 4 utterances" in live


async def test_a_recording_is_saved_and_read_back(server: ServerProcess, tmp_path: Path) -> None:
    """With a file it ends by itself, once the agent has answered."""
    file = write_wav(tmp_path / "clip.wav", silence(0.5))
    async with _agent(server, _hears):
        status, out = await (await _talk(server.url, str(file))).end()

    assert status == 0, out
    live, _, back = out.partition("Read back from the history:")
    expected = ["You    What is the time in Vienna?", "Agent  It is half past five."]
    assert _said(live) == _said(back) == expected


async def test_ctrl_c_saves(server: ServerProcess) -> None:
    """Whoever has had enough loses nothing."""
    async with _agent(server, _echoes):
        talk = await _talk(server.url)
        assert talk.process.stdin is not None
        talk.process.stdin.write(b"Hello there.\n")
        await talk.until("Agent  You typed Hello there.")
        talk.process.send_signal(signal.SIGINT)
        status, out = await talk.end()

    assert status == 0, out
    assert _said(out.partition("Read back")[2]) == [
        "You    Hello there.",
        "Agent  You typed Hello there.",
    ]


async def test_nothing_said_is_nothing_saved(server: ServerProcess) -> None:
    """A conversation without a word is no failure."""
    async with _agent(server, _echoes):
        status, out = await (await _talk(server.url)).end("")
    assert status == 0
    assert "Nothing was said, so there is nothing to save." in out


async def test_an_agent_that_fails_is_asked_once_more(server: ServerProcess) -> None:
    """The first agent never gets ready; the second attempt is answered."""

    async def hesitates(bridge: BridgeClient) -> None:
        if len(jobs) > 1:
            await _echoes(bridge)
        else:
            async for _ in bridge.commands():
                return

    async with _agent(server, hesitates) as jobs:
        status, out = await (await _talk(server.url)).end("Hello.\n")
    assert status == 0, out
    assert [job.attempt for job in jobs] == [1, 2]
    assert "Agent  You typed Hello." in out


async def test_an_agent_that_is_still_loading_is_waited_for(server: ServerProcess) -> None:
    """Somebody is quicker than the models: it says so, and goes on when the agent is there."""
    talk = await _talk(server.url)
    await talk.until("There is no agent yet")
    async with _agent(server, _echoes):
        status, out = await talk.end("Hello.\n")
    assert status == 0, out
    assert "Agent  You typed Hello." in out


async def test_without_an_agent_the_reason_is_told(server: ServerProcess) -> None:
    """After as long as it was told to wait: what the server says, and what to do about it."""
    status, out = await (await _talk(server.url, "--wait", "0")).end("Hello.\n")
    assert status == 1
    assert "No worker that runs the agent" in out
    assert "make serve" in out


async def test_without_a_server_it_says_how_to_start_one() -> None:
    """Nobody answers at this port: it is 1, which needs rights that nobody gives a server."""
    status, out = await (await _talk("http://127.0.0.1:1")).end("")
    assert status == 1
    assert "No VoxQL server answers at http://127.0.0.1:1" in out
    assert "VOXQL_PORT=1 make serve" in out


async def test_a_token_that_is_not_good_is_told(server: ServerProcess) -> None:
    """It neither becomes a guest nor prints the token."""
    talk = await _talk(server.url, VOXQL_TOKEN="vox_not_a_token_of_this_server")
    status, out = await talk.end("")
    assert status == 1
    assert out.startswith("voxql: ")
    assert "vox_not_a_token" not in out


async def test_what_is_no_recording_is_told_before_anything_starts(tmp_path: Path) -> None:
    """No server is needed to see that a file is not a WAV file."""
    file = tmp_path / "notes.txt"
    file.write_text("Nothing to hear.")
    status, out = await (await _talk("http://127.0.0.1:1", str(file))).end()
    assert status == 1
    assert "is not a WAV file" in out


async def test_a_terminal_shows_words_while_they_are_spoken(
    server: ServerProcess, tmp_path: Path
) -> None:
    """On a real terminal the interim is there, dimmed, before the final takes its place."""
    was_seen = asyncio.Event()
    segment, now = new_segment(), datetime.now(UTC)

    async def hears_slowly(bridge: BridgeClient) -> None:
        await bridge.ready()
        bridge.state("LISTENING")
        first = Utterance(segment=segment, role="USER", text="What is", final=False, started_at=now)
        bridge.utter(first)
        await was_seen.wait()
        bridge.utter(replace(first, text="What is the time?", final=True))
        _say(bridge, "AGENT", "It is half past five.")
        async for _ in bridge.commands():
            return

    file = write_wav(tmp_path / "clip.wav", silence(0.5))
    ours, theirs = pty.openpty()
    async with _agent(server, hears_slowly):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "cli.py"), "talk", "--url", server.url, str(file)),
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        screen = ""
        async with asyncio.timeout(40):
            while data := await asyncio.to_thread(_read, ours):
                screen += data
                if "\x1b[2mWhat is" in screen:
                    was_seen.set()
            assert await process.wait() == 0, screen
    os.close(ours)
    assert screen.index("\x1b[2mWhat is") < screen.index("What is the time?")
    assert "\x1b[2mWhat is the time?" not in screen
    assert "Read back from the history:" in screen


def _read(terminal: int) -> str:
    """Read what is there; nothing once nobody has the other side open."""
    try:
        return os.read(terminal, 65_536).decode(errors="replace")
    except OSError:
        return ""
