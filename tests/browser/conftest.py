"""Fixtures: a real server with the real agent, and people with real browsers."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from tests.attach.programs import AgentProgram
from tests.browser.chromium import shared_chromium
from tests.browser.person import Person, at_a_browser, in_a_profile
from tests.browser.scripted import with_a_script
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import MANY_PLACES, ROOT, ServerProcess
from tests.programs.shared import Shared
from tests.scheduling import hurry
from tests.speech.sound import Clip

READY_WITHIN_S = 120.0

Chromium = Callable[[], Awaitable[Browser]]
Visit = Callable[..., Awaitable[Person]]


def agent_of(livekit: LiveKitServer) -> AgentProgram:
    """Start `voxql agent --livekit`, and wait until it is registered."""
    command = (sys.executable, str(ROOT / "cli.py"), "agent", "--livekit")
    agent = AgentProgram(command, livekit, VOXQL_AGENT_PLACES=MANY_PLACES)
    try:
        agent.wait_for("registered at LiveKit")
    except AssertionError:
        agent.kill()
        raise
    return agent


def server_of(livekit: LiveKitServer, folder: Path, **environment: str) -> ServerProcess:
    """Start a server whose conversations use LiveKit rooms."""
    settings = {"VOXQL_AGENT": "livekit", **livekit.settings, **environment}
    return ServerProcess(folder, **settings).start()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Playwright's driver, which starts this process's browsers."""
    mine = psutil.Process()
    others = {child.pid for child in mine.children()}
    async with async_playwright() as driver:
        # The driver's browsers inherit its scheduling priority.
        for child in mine.children():
            if child.pid not in others:
                hurry(child.pid)
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def answering(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """A server whose agent answers typed lines at once; it neither hears nor speaks.

    For pages whose sound does not matter.
    """
    folder = tmp_path_factory.mktemp("answering")
    async with with_a_script(folder, places=MANY_PLACES) as (server, _):
        yield server


@pytest.fixture(scope="session")
def chromium(playwright: Playwright, shared: Shared) -> Chromium:
    """The browser of everybody without special needs; the first use connects to it."""
    connected: list[Browser] = []

    async def browser() -> Browser:
        if not connected:
            connected.append(await playwright.chromium.connect(shared_chromium(shared)))
        return connected[0]

    return browser


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Chromium, playwright: Playwright, tmp_path: Path) -> AsyncIterator[Visit]:
    """Open pages as people do; all of them close with the test.

    A person gets a separate Chromium with `own_browser`, flags, or any microphone but a silent one:
    none, a denied one, or one that plays `says` from when the page opens it, where numbers are
    seconds of silence. All others share one headless Chromium. Pages use reduced motion by default.
    """
    async with AsyncExitStack() as stack:

        async def opened(
            url: str,
            says: Sequence[Clip | float] = (),
            *,
            has_microphone: bool = True,
            may_use_microphone: bool = True,
            flags: Sequence[str] = (),
            own_browser: bool = False,
            **options: Any,
        ) -> Person:
            options = {"reduced_motion": "reduce", **options}
            needs_own = own_browser or says or flags
            if has_microphone and may_use_microphone and not needs_own:
                somebody = in_a_profile(await chromium(), url, **options)
                return await stack.enter_async_context(somebody)
            folder = tmp_path / f"person-{len(list(tmp_path.glob('person-*')))}"
            folder.mkdir()
            person = at_a_browser(
                playwright,
                url,
                says,
                folder,
                has_microphone=has_microphone,
                may_use_microphone=may_use_microphone,
                flags=flags,
                **options,
            )
            return await stack.enter_async_context(person)

        yield opened
