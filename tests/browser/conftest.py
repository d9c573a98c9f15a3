"""Fixtures: a real server with the real agent, and people at real browsers in front of it."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from tests.attach.programs import AgentProgram
from tests.browser.person import Person, at_a_browser
from tests.e2e.sound import Clip
from tests.livekit_server import LiveKitServer
from tests.server_process import ROOT, ServerProcess

READY_WITHIN_S = 120.0

Visit = Callable[..., Awaitable[Person]]


def agent_of(livekit: LiveKitServer) -> AgentProgram:
    """Start `voxql agent --livekit`, and wait until it may be asked for."""
    command = (sys.executable, str(ROOT / "cli.py"), "agent", "--livekit")
    agent = AgentProgram(command, livekit, VOXQL_AGENT_PLACES="40")
    try:
        agent.wait_for("registered at LiveKit")
    except AssertionError:
        agent.kill()
        raise
    return agent


def server_of(livekit: LiveKitServer, folder: Path, **environment: str) -> ServerProcess:
    """Start a server whose conversations are held in LiveKit's rooms."""
    settings = {"VOXQL_AGENT": "livekit", **livekit.settings, **environment}
    return ServerProcess(folder, **settings).start()


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    """Open pages as people do; all of them leave with the test.

    What `says` lists begins when the page opens the microphone; its numbers are silent seconds.
    """
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())

        async def opened(
            url: str, says: list[Clip | float] | None = None, **options: Any
        ) -> Person:
            folder = tmp_path / f"person-{len(list(tmp_path.glob('person-*')))}"
            folder.mkdir()
            person = at_a_browser(playwright, url, says or [], folder, **options)
            return await stack.enter_async_context(person)

        yield opened
