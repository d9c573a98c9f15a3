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

TOOLS = [
    *("bash", "env", "dirname", "mkdir", "mktemp", "cat", "sed", "rm", "mv", "flock"),
    *("chmod", "nice", "tail"),
]
needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="no flock, as on macOS")


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


def start(clone: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [clone / "scripts" / "livekit-server", *arguments],
        env={"PATH": str(clone / "bin"), "HOME": str(clone)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = start(clone, *arguments)
    said, complained = program.communicate(timeout=60)
    return subprocess.CompletedProcess(program.args, program.returncode, said, complained)


@pytest.mark.parametrize("arguments", [(), ("build",), ("early",), ("path",), ("run",)])
def test_without_go_it_says_how_to_get_it(elsewhere: Path, arguments: tuple[str, ...]) -> None:
    """The error explains the installation, and the exit status fails a build."""
    ended = run(elsewhere, *arguments)

    assert ended.returncode == 1
    for sentence in ("MISSING", "brew install go", "apt-get install golang-go", "go.dev/dl"):
        assert sentence in ended.stderr
    assert not list(elsewhere.glob(".cache/bin/livekit*"))


def go(clone: Path, script: str) -> None:
    """Put a stand-in for Go there: a real build takes minutes."""
    program = clone / "bin" / "go"
    program.write_text("#!/usr/bin/env bash\n" + script)
    program.chmod(0o755)


@needs_flock
def test_the_path_waits_for_the_build_in_the_background(elsewhere: Path) -> None:
    """Tests without LiveKit begin at once, and are hardly slowed down by the build."""
    os.mkfifo(elsewhere / "continue")
    go(
        elsewhere,
        """
        read -r _ <"$HOME/continue"
        nice >"$GOBIN/server"
        chmod +x "$GOBIN/server"
        echo >>"$HOME/builds"
        """,
    )

    for _ in range(2):  # the second one leaves the first one alone
        assert run(elsewhere, "early").returncode == 0
    asking = start(elsewhere, "path")
    assert asking.stderr is not None
    waiting = asking.stderr.readline()
    (elsewhere / "continue").write_text("\n")
    path, _ = asking.communicate(timeout=60)

    assert "Waiting for the LiveKit server" in waiting
    assert asking.returncode == 0
    assert int(Path(path.strip()).read_text()) == min(os.nice(0) + 10, 19)
    assert (elsewhere / "builds").read_text() == "\n"


@needs_flock
def test_a_build_that_fails_is_shown_to_who_waits(elsewhere: Path) -> None:
    """Its output is in a log, and there is no server to run."""
    go(elsewhere, "echo 'no space left' >&2; exit 1\n")

    assert run(elsewhere, "early").returncode == 0
    ended = run(elsewhere, "path")

    assert ended.returncode == 1
    assert "It has not been built yet." in ended.stderr
    assert "no space left" in ended.stderr


def test_a_missing_server_fails_the_tests_that_need_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those tests are never skipped: the failure says what to do."""
    monkeypatch.setattr(livekit_server, "ROOT", elsewhere)

    with pytest.raises(pytest.fail.Exception, match="MISSING: the LiveKit server"):
        LiveKitServer(elsewhere / "server").start()


@pytest.mark.parametrize("arguments", [(), ("early",)])
def test_what_is_there_is_not_built_again(arguments: tuple[str, ...]) -> None:
    """`make test` runs it each time, so it prints nothing and builds nothing."""
    livekit_server.binary()

    ended = subprocess.run(
        [ROOT / "scripts" / "livekit-server", *arguments],
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
