"""Fixtures for all tests."""

import asyncio
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from tests import own_network, rows
from tests.attach.programs import agent_in_rooms
from tests.programs.livekit_server import LiveKitServer
from tests.programs.postgres import EmptyDatabase, PostgresServer
from tests.programs.said import said_since
from tests.programs.server_process import MANY_PLACES, START_TIMEOUT_S, ServerProcess, is_setting
from tests.programs.shared import Shared
from tests.sample_clock import loop_factories
from tests.scheduling import PriorityScheduling, lower_priority, rank

TESTS = Path(__file__).parent
ON_BOTH = ("models", "resolvers/several")
"""Tests that every run repeats on PostgreSQL; those of use cases and of the schema are repeated by
`make soak`."""

StartServer = Callable[..., ServerProcess]
StartLiveKit = Callable[..., LiveKitServer]

if os.environ.get("CI") != "true":  # Hypothesis has its own profile on CI.
    # Slow machines must not fail an example.
    settings.register_profile("voxql", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("voxql")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run tests marked `own_network` in a separate process."""
    if not own_network.is_apart(item):
        return None
    own_network.run_apart(item)
    # Tear down fixtures that the next test doesn't need.
    item.session._setupstate.teardown_exact(nextitem)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the output of servers and agents to failed tests: CI runs can't be inspected later."""
    report = yield
    if report.failed:
        report.sections.extend(said_since(call.start))
    own_network.write_report(item.config, report)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long tests first."""
    items.sort(key=lambda item: rank(item.path.relative_to(TESTS)))


def pytest_configure(config: pytest.Config) -> None:
    """Lower the priority of the background process."""
    lower_priority(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> PriorityScheduling:
    """Distribute tests by what they need."""
    return PriorityScheduling(config, log)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests marked `sample_clock` on the sample clock."""
    return loop_factories(item)


def _is_beside_others(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _shared(config: pytest.Config) -> Shared:
    """Return what all processes of this run share."""
    factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined] # pytest offers it only as a fixture
    own = factory.getbasetemp()
    if _is_beside_others(config):
        return Shared(own.parent / "shared", os.getppid())
    return Shared(own / "shared", os.getpid())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop shared programs after the last process ends; fail the run if they logged faults."""
    if _is_beside_others(session.config):
        return
    shared = _shared(session.config)
    shared.end()
    if faults := shared.faults():
        print("", "Programs that the run shares have logged faults:", *faults, sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Shared:
    """The programs that the whole run shares."""
    return _shared(pytestconfig)


@pytest.fixture(scope="session")
def speaking(shared: Shared) -> ServerProcess:
    """A server whose agent has loaded its models, shared by most tests that talk.

    It has enough places for all of them, since a closed browser keeps its place for another minute.
    Its agent may be slow to start: a busy machine must not report a missing agent.
    """
    return ServerProcess.shared(
        shared,
        "speaking",
        "ready: conversations can begin",
        VOXQL_AGENT="local",
        VOXQL_AGENT_PLACES=MANY_PLACES,
        VOXQL_START_TIMEOUT_S=START_TIMEOUT_S,
    )


@pytest.fixture(scope="session")
def livekit(shared: Shared) -> LiveKitServer:
    """The LiveKit server that most tests share. It sends no webhooks: nothing may rely on them."""
    return LiveKitServer.shared(shared)


@pytest.fixture(scope="session")
def postgres(shared: Shared) -> EmptyDatabase:
    """A database on the PostgreSQL server that the run shares."""
    return EmptyDatabase(PostgresServer.shared(shared))


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that the test uses: sqlite or postgres."""
    kind = getattr(request, "param", "sqlite")
    if kind == "postgres":
        rows.postgres.append(request.getfixturevalue("postgres"))
    yield kind
    rows.postgres.clear()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of queries and use cases on both kinds of database."""
    if "database_kind" in metafunc.fixturenames:
        is_sqlite = metafunc.definition.get_closest_marker("sqlite") is not None
        folder = metafunc.definition.path.relative_to(TESTS).as_posix()
        marks = () if folder.startswith(ON_BOTH) else (pytest.mark.soak,)
        more = [] if is_sqlite else [pytest.param("postgres", marks=marks)]
        metafunc.parametrize("database_kind", ["sqlite", *more], indirect=True)


@pytest.fixture(scope="session")
def in_rooms(shared: Shared, livekit: LiveKitServer) -> ServerProcess:
    """Like `speaking`, but over LiveKit."""
    agent_in_rooms(shared, livekit)
    return ServerProcess.shared(
        shared,
        "in-rooms",
        VOXQL_AGENT="livekit",
        VOXQL_START_TIMEOUT_S=START_TIMEOUT_S,
        **livekit.settings,
    )


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove settings from the environment that the tests run in."""
    for name in list(os.environ):
        if is_setting(name):
            monkeypatch.delenv(name)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start real servers: `start_server(VOXQL_AGENT="external")`; all stop when the test ends.

    Each server has its own folder unless `data_dir` is given.
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


@pytest.fixture
def start_livekit(tmp_path: Path) -> Iterator[StartLiveKit]:
    """Start LiveKit servers that a test may stop and kill: `start_livekit(webhooks=[…])`."""
    servers: list[LiveKitServer] = []

    def start(**more: Any) -> LiveKitServer:
        servers.append(LiveKitServer(tmp_path / f"livekit-{len(servers)}", **more))
        return servers[-1].start()

    yield start
    for server in servers:
        server.kill()
