"""The tests' LiveKit server: how it is obtained, and the errors where it can't be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import StartLiveKit
from tests.programs import livekit_server
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import ROOT

TOOLS = ("bash", "env", "dirname", "mkdir", "mktemp", "cat", "sed", "rm", "mv", "flock")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A clone without a build, on a machine without Go."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "scripts" / "livekit-server", tmp_path / "scripts")
    for tool in TOOLS:
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "scripts" / "livekit-server", *arguments],
        env={"PATH": str(clone / "bin"), "HOME": str(clone)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("arguments", [(), ("build",), ("path",), ("run",)])
def test_without_go_it_says_how_to_get_it(elsewhere: Path, arguments: tuple[str, ...]) -> None:
    """The error explains the installation, and the exit status fails a build."""
    ended = run(elsewhere, *arguments)

    assert ended.returncode == 1
    for sentence in ("MISSING", "brew install go", "apt-get install golang-go", "go.dev/dl"):
        assert sentence in ended.stderr
    assert not list(elsewhere.glob(".cache/bin/livekit*"))


def test_a_missing_server_fails_the_tests_that_need_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those tests are never skipped: the failure says what to do."""
    monkeypatch.setattr(livekit_server, "ROOT", elsewhere)

    with pytest.raises(pytest.fail.Exception, match="MISSING: the LiveKit server"):
        LiveKitServer(elsewhere / "server").start()


def test_what_is_there_is_not_built_again() -> None:
    """`make test` runs it each time, so it prints nothing and builds nothing."""
    ended = subprocess.run(
        [ROOT / "scripts" / "livekit-server"],
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_settings_that_it_prints_are_settings() -> None:
    """`eval "$(scripts/livekit-server env)"` is enough for development."""
    ended = subprocess.run(
        ["bash", "-c", 'eval "$(scripts/livekit-server env)" && env'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = dict(line.split("=", 1) for line in ended.stdout.splitlines() if "=" in line)

    assert told["VOXQL_AGENT"] == "livekit"
    assert told["LIVEKIT_URL"] == "ws://127.0.0.1:7880"
    assert len(told["LIVEKIT_API_SECRET"]) >= 32


def test_a_killed_server_comes_back_on_its_ports(start_livekit: StartLiveKit) -> None:
    """Clients that were connected can reconnect."""
    server = start_livekit()
    ports = server.ports

    server.restart()

    assert server.ports == ports
