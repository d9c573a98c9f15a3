"""`voxql talk` as a program, against a real server with a scripted agent."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyte
import pytest
from msgspec.structs import replace

from agent_bridge.client.bridge import BridgeClient, InputCommand, new_segment
from agent_bridge.client.worker import StartJob, Worker
from agent_bridge.protocol import Utterance
from tests.programs.server_process import ROOT, ServerProcess
from tests.speech.sound import silence, write_wav

KEY = "a-key-of-this-test"
START_S = 90
"""Seconds until the command has loaded and printed its first line on a busy machine."""
Script = Callable[[BridgeClient], Awaitable[None]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for external agents."""
    settings = {"VOXQL_AGENT": "external", "VOXQL_WORKER_KEY": KEY, "VOXQL_START_TIMEOUT_S": "8"}
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
    """The running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""

    async def until(self, text: str) -> None:
        """Wait until this has been printed."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
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
    """Recognise fixed words, whatever is played."""
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
    assert _said(out) == expected, "each line is there once"
    assert "Read back from the history: all 4 lines, as they stand above." in out
    assert "Hello there, 4 utterances" in out


async def test_a_recording_is_saved_and_read_back(server: ServerProcess, tmp_path: Path) -> None:
    """With a file the command ends by itself once the agent has answered."""
    file = write_wav(tmp_path / "clip.wav", silence(0.5))
    async with _agent(server, _hears):
        status, out = await (await _talk(server.url, str(file))).end()

    assert status == 0, out
    live, _, back = out.partition("Read back from the history:")
    expected = ["You    What is the time in Vienna?", "Agent  It is half past five."]
    assert _said(live) == _said(back) == expected


async def test_a_line_that_is_refused_ends_nothing(server: ServerProcess) -> None:
    """The reason is shown, and the next line is sent."""
    async with _agent(server, _echoes):
        status, out = await (await _talk(server.url)).end("x" * 40_000 + "\nHello there.\n")
    assert status == 0, out
    assert "Not sent. The text must be at most 32,768 bytes of UTF-8" in out
    assert _said(out) == ["You    Hello there.", "Agent  You typed Hello there."]


async def test_ctrl_c_saves(server: ServerProcess) -> None:
    """Ctrl-C loses nothing of the conversation."""
    async with _agent(server, _echoes):
        talk = await _talk(server.url)
        assert talk.process.stdin is not None
        talk.process.stdin.write(b"Hello there.\n")
        await talk.until("Agent  You typed Hello there.")
        talk.process.send_signal(signal.SIGINT)
        status, out = await talk.end()

    assert status == 0, out
    assert _said(out) == ["You    Hello there.", "Agent  You typed Hello there."]
    assert "Read back from the history: all 2 lines" in out


async def test_nothing_said_is_nothing_saved(server: ServerProcess) -> None:
    """An empty conversation is no failure."""
    async with _agent(server, _echoes):
        status, out = await (await _talk(server.url)).end("")
    assert status == 0
    assert "Nothing was said, so there is nothing to save." in out


async def test_an_agent_that_fails_is_asked_once_more(server: ServerProcess) -> None:
    """The first agent never becomes ready; the second attempt is answered."""

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
    """The command says that there is no agent yet and goes on when one connects."""
    talk = await _talk(server.url)
    await talk.until("There is no agent yet")
    async with _agent(server, _echoes):
        status, out = await talk.end("Hello.\n")
    assert status == 0, out
    assert "Agent  You typed Hello." in out


async def test_without_an_agent_the_reason_is_told(server: ServerProcess) -> None:
    """After `--wait`, the command shows the server's message and a remedy."""
    status, out = await (await _talk(server.url, "--wait", "0")).end("Hello.\n")
    assert status == 1
    assert "No worker that runs the agent" in out
    assert "make serve" in out


async def test_without_a_server_it_says_how_to_start_one() -> None:
    """The test uses port 1, where servers usually have no right to listen."""
    status, out = await (await _talk("http://127.0.0.1:1")).end("")
    assert status == 1
    assert out == (
        "voxql: Can't reach the server at http://127.0.0.1:1: nothing listens there. "
        "Start it with:  VOXQL_PORT=1 make serve\n"
    )


async def test_a_token_that_is_not_good_is_told(server: ServerProcess) -> None:
    """It neither signs in as a guest nor prints the token."""
    talk = await _talk(server.url, VOXQL_TOKEN="vox_not_a_token_of_this_server")
    status, out = await talk.end("")
    assert status == 1
    assert out.startswith("voxql: ")
    assert "vox_not_a_token" not in out


async def test_what_is_no_recording_is_told_before_anything_starts(tmp_path: Path) -> None:
    """A file that is not WAV is refused without a server."""
    file = tmp_path / "notes.txt"
    file.write_text("Nothing to hear.")
    status, out = await (await _talk("http://127.0.0.1:1", str(file))).end()
    assert status == 1
    assert "is not a WAV file" in out


async def test_a_terminal_shows_words_while_they_are_spoken(
    server: ServerProcess, tmp_path: Path
) -> None:
    """A real terminal shows the interim dimmed before the final replaces it."""
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


async def test_on_a_terminal_there_is_a_prompt(server: ServerProcess, tmp_path: Path) -> None:
    """An answer that arrives during typing doesn't mix with it, and each line appears once."""
    is_half_typed = asyncio.Event()
    segment, now = new_segment(), datetime.now(UTC)

    async def answers_late(bridge: BridgeClient) -> None:
        await bridge.ready()
        bridge.state("LISTENING")
        async for command in bridge.commands():
            if not isinstance(command, InputCommand):
                return
            if command.text == "Hello there.":
                first = Utterance(
                    segment=segment, role="AGENT", text="Good", final=False, started_at=now
                )
                bridge.utter(first)
                await is_half_typed.wait()
                bridge.utter(replace(first, text="Good morning!", final=True))
            else:
                _say(bridge, "AGENT", f"You typed {command.text}")

    async with _agent(server, answers_late), _typing(server, tmp_path) as terminal:
        await terminal.until(r"^You    $")
        terminal.types("Hello there.\r")
        await terminal.until(r"^You    Hello there\.$", r"^Agent  Good$", r"^You    $")
        terminal.types("And then")
        await terminal.until(r"^Agent  Good$", r"^You    And then$")
        is_half_typed.set()
        await terminal.until(r"^Agent  Good morning!$", r"^You    And then$")
        terminal.types(" more\r")
        await terminal.until(r"^Agent  You typed And then more$", r"^You    $")
        terminal.types("\x04")
        assert await terminal.ended() == 0, terminal.lines

    said = [line for line in terminal.lines if line.startswith(("You", "Agent"))]
    assert said == [
        "You    Hello there.",
        "Agent  Good morning!",
        "You    And then more",
        "Agent  You typed And then more",
    ]
    assert "Read back from the history: all 4 lines, as they stand above." in terminal.lines


async def test_ctrl_c_at_the_prompt_saves(server: ServerProcess, tmp_path: Path) -> None:
    """Text that was typed but not sent is not saved."""
    async with _agent(server, _echoes), _typing(server, tmp_path, NO_COLOR="1") as terminal:
        await terminal.until(r"^You    $")
        terminal.types("Hello there.\r")
        await terminal.until(r"^Agent  You typed Hello there\.$", r"^You    $")
        terminal.types("never mi")
        await terminal.until(r"^You    never mi$")
        terminal.types("\x03")
        assert await terminal.ended() == 0, terminal.lines
    said = [line for line in terminal.lines if line.startswith(("You", "Agent"))]
    assert said == ["You    Hello there.", "Agent  You typed Hello there."]
    assert not re.search(r"\x1b\[[0-9;]*3[1-7]m", terminal.raw), "NO_COLOR"


class _Terminal:
    """A terminal that runs the command, with its screen as a person sees it."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process = process
        self._master = master
        self._screen = pyte.Screen(80, 40)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = ""
        self._drawn = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def lines(self) -> list[str]:
        """The lines on the screen; a prompt keeps its trailing spaces."""
        return [
            re.sub(r"^(You|Agent) *$", r"\1    ", line.rstrip())
            for line in self._screen.display
            if line.strip()
        ]

    def types(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    async def until(self, *patterns: str) -> None:
        """Wait until the last lines match these patterns."""
        async with asyncio.timeout(START_S):
            while not self._shows(patterns):
                self._drawn.clear()
                await self._drawn.wait()

    def _shows(self, patterns: tuple[str, ...]) -> bool:
        last = self.lines[-len(patterns) :]
        return len(last) == len(patterns) and all(map(re.search, patterns, last))

    async def ended(self) -> int:
        async with asyncio.timeout(40):
            await self._reading
            return await self._process.wait()

    async def _read(self) -> None:
        while data := await asyncio.to_thread(_read, self._master):
            self.raw += data
            self._stream.feed(data.encode())
            self._drawn.set()


@asynccontextmanager
async def _typing(
    server: ServerProcess, folder: Path, **environment: str
) -> AsyncIterator[_Terminal]:
    """Run the command by typing, on a terminal of a machine without a microphone."""
    (folder / "sounddevice.py").write_text("raise ImportError('no sound here')\n")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "cli.py"), "talk", "--url", server.url),
        env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(folder), **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield _Terminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


def _read(terminal: int) -> str:
    """Read the available output; return nothing once the other side is closed."""
    try:
        return os.read(terminal, 65_536).decode(errors="replace")
    except OSError:
        return ""
