"""Fixtures for every test."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.livekit_server import livekit, start_livekit  # noqa: F401 - fixtures
from tests.said import said_since
from tests.server_process import ServerProcess, is_setting

StartServer = Callable[..., ServerProcess]

if os.environ.get("CI") != "true":  # where hypothesis has a profile of its own
    # How long an example takes is the machine's business.
    settings.register_profile("voxql", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("voxql")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what servers and agents said when a test fails: on CI nobody can look again."""
    report = yield
    if report.failed:
        report.sections.extend(said_since(call.start))
    return report


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in list(os.environ):
        if is_setting(name):
            monkeypatch.delenv(name)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start real servers: `start_server(VOXQL_AGENT="external")`; all end with the test.

    Each has a folder of its own, unless it is given one as `data_dir`.
    """
    servers: list[ServerProcess] = []

    def start(data_dir: Path | None = None, **environment: str) -> ServerProcess:
        own = tmp_path / f"server-{len(servers)}"
        servers.append(ServerProcess(data_dir or own, **environment))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A real server without an agent, on a free port, with an empty database."""
    return start_server()
