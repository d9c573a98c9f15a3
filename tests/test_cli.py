"""The `voxql` command, run as people run it."""

import io
import logging
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import structlog

import cli
from serving.process.address import listening_socket, local_address
from tests.conftest import StartServer
from tests.programs.server_process import ROOT, ServerProcess

Done = subprocess.CompletedProcess[str]
Here = Callable[..., Done]


def voxql(*arguments: str, stdin: str = "", **environment: str) -> Done:
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        env={**os.environ, "VOXQL_AGENT": "none", **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Here]:
    """Run the command in this process, where its packages are already loaded."""
    monkeypatch.setenv("VOXQL_DATA_DIR", str(tmp_path))

    def run(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["voxql", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return Done(arguments, int(ended.value.code or 0), told.out, told.err)

    handlers = logging.getLogger().handlers[:]
    yield run
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "cli",
            {"pydantic", "starlette", "strawberry", "tortoise", "uvicorn", "livekit", "rich"},
        ),
        ("serving.process.run", {"strawberry", "tortoise", "livekit"}),
    ],
)
def test_a_command_loads_nothing_before_it_needs_it(module: str, heavy: set[str]) -> None:
    """`voxql --help` answers at once, and `voxql serve` loads the app after its agent starts."""
    script = f"import {module}, sys; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert heavy & set(loaded) == set()


def test_it_tells_its_version() -> None:
    """`--version` prints the package's version, in the words of the server's start message."""
    told = voxql("--version")

    assert (told.returncode, told.stdout) == (0, f"VoxQL {version('voxql')}\n")


def test_a_server_answers_where_it_says_and_stops_when_told(start_server: StartServer) -> None:
    """With VOXQL_PORT=0 the `open` line shows the chosen port; SIGTERM ends with status 0."""
    server = start_server(VOXQL_PORT="0")
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=10) as answer:
        assert answer.status == 200

    assert server.stop() == 0


def test_a_redis_beside_sqlite_is_refused(tmp_path: Path) -> None:
    """Otherwise an operator could believe that several servers may use the file."""
    refused = voxql("serve", VOXQL_DATA_DIR=str(tmp_path), VOXQL_REDIS_URL="redis://127.0.0.1")

    assert refused.returncode == 1
    assert "voxql: VOXQL_REDIS_URL: is for several processes, and SQLite serves only one" in (
        refused.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_a_second_server_on_one_sqlite_file_is_refused(server: ServerProcess) -> None:
    """The refusal names the holding process and the remedy; the first server keeps running."""
    refused = voxql("serve", VOXQL_DATA_DIR=str(server.data_dir), VOXQL_PORT="0")

    assert refused.returncode == 1
    assert f"Another server (process {server.process.pid}) uses" in refused.stderr
    assert "VOXQL_DATA_DIR" in refused.stderr
    assert server.process.poll() is None


def test_a_killed_server_keeps_nobody_from_its_database(start_server: StartServer) -> None:
    """The kernel releases the lock after a crash, so no stale file has to be deleted."""
    first = start_server()
    first.kill()

    second = start_server(first.data_dir)

    assert second.stop() == 0


def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    """The message has no traceback and says what to do."""
    with listening_socket("127.0.0.1", 0) as taken:
        port = str(local_address(taken)[1])
        refused = voxql("serve", VOXQL_DATA_DIR=str(tmp_path), VOXQL_PORT=port)

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"voxql: Port {port} on 127.0.0.1 is in use already")
    assert "Traceback" not in refused.stderr


def test_a_wrong_setting_is_told_in_a_sentence() -> None:
    """A misspelt name is reported along with the wrong value."""
    refused = voxql("serve", VOXQL_PORT="http", VOXQL_HOTS="0.0.0.0")

    assert refused.returncode == 1
    assert "voxql: VOXQL_HOTS is not a setting of VoxQL; did you mean VOXQL_HOST?" in refused.stderr
    assert "voxql: VOXQL_PORT: input should be a valid integer" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_operator_looks_after_accounts(here: Here) -> None:
    """Accounts can be created, listed, reset and deleted; a refusal is one sentence."""
    ada = "ada@example.org"

    created = here("user", "create", ada, stdin="correct horse\n")
    again = here("user", "create", ada, stdin="correct horse\n")
    guessable = here("user", "create", "bob@example.org", stdin="12345678\n")
    nowhere = here("user", "create", "bob@example", stdin="correct horse\n")
    unanswered = here("user", "delete", ada)
    listed = here("user", "list")
    reset = here("user", "reset-password", ada, stdin="battery staple\n")
    deleted = here("user", "delete", ada, "--yes")
    gone = here("user", "reset-password", ada, stdin="battery staple\n")

    assert (created.returncode, reset.returncode, deleted.returncode) == (0, 0, 0)
    assert (again.returncode, unanswered.returncode, gone.returncode) == (1, 1, 1)
    assert again.stderr.startswith("voxql: An account with this e-mail already exists")
    assert (guessable.returncode, nowhere.returncode) == (1, 1)
    assert guessable.stderr.startswith("voxql: This password is easy to guess. Use a longer one")
    assert nowhere.stderr.startswith("voxql: Enter a valid e-mail address. Check this one")
    assert listed.stdout.count("@") == listed.stdout.count(ada) == 1
    assert gone.stderr.startswith("voxql: No account has this e-mail")


def test_an_operator_looks_after_api_tokens(here: Here) -> None:
    """Tokens can be created, listed and revoked; only the secret goes to standard output."""
    ada = "ada@example.org"
    here("user", "create", ada, stdin="correct horse\n")

    made = here("token", "create", ada, "--name", "mine", "--scope", "SESSIONS_READ", "--days", "7")
    other = here("token", "create", ada)
    listed = here("token", "list", ada)
    token_id = made.stderr.split()[1]
    revoked = here("token", "revoke", token_id)
    again = here("token", "revoke", token_id)
    left = here("token", "list", ada)
    wrong = here("token", "create", ada, "--scope", "EVERYTHING")
    nobody = here("token", "create", "nobody@example.org")

    assert (made.returncode, other.returncode, revoked.returncode) == (0, 0, 0)
    assert re.fullmatch(r"vox_\S+\n", made.stdout)
    assert token_id.startswith("tok_")
    newest, oldest = listed.stdout.splitlines()
    assert newest.endswith("no end  voxql token create")
    assert re.search(rf"{token_id}  {made.stdout[:8]}\S*…  until 2\d{{3}}-\d\d-\d\d  mine$", oldest)
    assert left.stdout.splitlines() == [newest]
    assert (again.returncode, wrong.returncode, nobody.returncode) == (1, 1, 1)
    assert "This API token doesn't exist" in again.stderr
    assert "There is no scope EVERYTHING; there are SESSIONS_READ" in wrong.stderr
    assert "No account has this e-mail" in nobody.stderr


def test_migrate_and_backup_work_beside_a_server(server: ServerProcess, tmp_path: Path) -> None:
    """Neither needs the server to stop."""
    data = {"VOXQL_DATA_DIR": str(server.data_dir)}

    migrated = voxql("migrate", **data)
    copied = voxql("backup", str(tmp_path / "copy.db"), **data)
    again = voxql("backup", str(tmp_path / "copy.db"), **data)

    assert migrated.stdout == "The database is up to date.\n"
    assert copied.returncode == 0
    assert (tmp_path / "copy.db").stat().st_size > 0
    assert again.returncode == 1
    assert "was left as it is" in again.stderr
