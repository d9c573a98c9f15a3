"""The agent's process is restarted, shut down in order, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from serving.process.child import CANNOT_RUN, Child
from tests.programs.server_process import ROOT

PATIENCE = 20.0


@asynccontextmanager
async def child_running(script: str, *arguments: str) -> AsyncIterator[Child]:
    """Run a Python script as the agent, with short restart delays."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    child = Child(
        "the agent", command, {"PYTHONPATH": str(ROOT)}, first_delay=0.01, longest_delay=0.05
    )
    await child.start()
    try:
        yield child
    finally:
        await child.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - another process can only be polled
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_it_is_started_again_when_it_dies() -> None:
    """It is restarted every time; a crash of the agent never ends the server."""
    async with child_running("import os; os._exit(3)") as child:
        await until(lambda: child.starts >= 4)


async def test_it_is_started_again_when_it_is_killed() -> None:
    """This also covers the kernel's out-of-memory killer."""
    async with child_running("import sys; sys.stdin.read()") as child:
        first = child.pid
        assert first is not None

        os.kill(first, signal.SIGKILL)

        await until(lambda: child.starts == 2 and child.pid not in (None, first))


async def test_it_is_not_started_again_when_it_cannot_run_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failure that recurs each time would only fill the log."""
    async with child_running(f"raise SystemExit({CANNOT_RUN})") as child:
        await until(lambda: child.starts > 1 or "the agent can't run here" in caplog.text)

        assert child.starts == 1


async def test_it_is_asked_before_it_is_ended(tmp_path: Path) -> None:
    """SIGTERM comes first: the agent may have last words to hand in."""
    script = """
        import pathlib, signal, sys
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pathlib.Path(sys.argv[1], "ready").touch()
        signal.sigwait({signal.SIGTERM})
        pathlib.Path(sys.argv[1], "left").touch()
    """
    async with child_running(script, str(tmp_path)) as child:
        await until((tmp_path / "ready").exists)

        await child.stop()

        assert (tmp_path / "left").exists()
        assert child.pid is None


async def test_it_is_killed_when_it_does_not_listen(tmp_path: Path) -> None:
    """A server must be able to stop, whatever its agent does."""
    script = """
        import pathlib, signal, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path(sys.argv[1]).touch()
        while True:
            signal.pause()
    """
    async with child_running(script, str(tmp_path / "ready")) as child:
        await until((tmp_path / "ready").exists)
        pid = child.pid
        assert pid is not None

        await child.stop(patience=0.05)

        assert not is_running(pid)


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """A crashed agent leaves no helper processes that hold memory and microphones."""
    script = """
        import os, pathlib, subprocess, sys
        helper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        draft = pathlib.Path(sys.argv[1] + ".draft")
        draft.write_text(str(helper.pid))
        draft.rename(sys.argv[1])
        os._exit(1)
    """
    async with child_running(script, str(tmp_path / "pid")):
        await until((tmp_path / "pid").exists)
        helper = int((tmp_path / "pid").read_text())

        await until(lambda: not is_running(helper))


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Even SIGKILL of the server leaves no agent running unseen."""
    agent = "import serving.process.child as c, signal; c.end_with_parent(); signal.pause()"
    server = textwrap.dedent(
        f"""
        import asyncio, pathlib, sys
        from serving.process.child import Child
        async def main():
            child = Child("the agent", [sys.executable, "-c", {agent!r}], {{}})
            await child.start()
            draft = pathlib.Path(sys.argv[1] + ".draft")
            draft.write_text(str(child.pid))
            draft.rename(sys.argv[1])
            await asyncio.Event().wait()
        asyncio.run(main())
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", server, str(tmp_path / "pid")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        await until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert is_running(pid)
    finally:
        parent.kill()
        parent.wait()

    await until(lambda: not is_running(pid))
