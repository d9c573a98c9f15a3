"""What integrators install: only the wheel, in a separate environment, with the example."""

import asyncio
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from agent_bridge.server.workers import StartRequest
from hub.events import Stop
from tests.agent_bridge.serving import KEY, SESSION, serve

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "echo_worker.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release would, but without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--wheel", "--no-isolation", "--outdir", str(folder)]
    command = [sys.executable, "-m", "build", *options, str(ROOT / "clients" / "python")]
    subprocess.run(command, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create an environment with only the wheel and its dependencies; return its Python."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # Linked from this environment, as a test must not need a registry.
    installed = Path(sysconfig.get_path("purelib"))
    for name in ("msgspec", "websockets"):
        (packages / name).symlink_to(installed / name)
        [metadata] = installed.glob(f"{name}-*.dist-info")
        (packages / metadata.name).symlink_to(metadata)
    return folder / "bin" / "python"


def test_the_wheel_holds_one_package_and_needs_two(wheel: Path) -> None:
    """It installs no top-level `schema`, `models` or `agent_bridge`."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith("METADATA")]
        lines = archive.read(metadata).decode().splitlines()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"voxql_bridge"}
    assert "voxql_bridge/py.typed" in names
    assert [line for line in lines if line.startswith("Requires-Dist")] == [
        "Requires-Dist: msgspec>=0.18",
        "Requires-Dist: websockets>=13",
    ]


def test_everything_public_imports_from_the_wheel_alone(python: Path, tmp_path: Path) -> None:
    """The import doesn't use the checkout."""
    code = "import voxql_bridge as v; [getattr(v, n) for n in v.__all__]; print(v.__file__)"
    done = subprocess.run(
        [python, "-I", "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert str(ROOT) not in done.stdout
    assert done.stderr == ""


def test_the_example_is_short_and_uses_nothing_else() -> None:
    """It has under 80 lines and imports only the standard library and voxql_bridge."""
    source = EXAMPLE.read_text()
    assert len(source.splitlines()) < 80
    imported = {
        line.split()[1] for line in source.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported - set(sys.stdlib_module_names) == {"voxql_bridge"}


async def test_the_example_takes_part_in_a_conversation(python: Path, tmp_path: Path) -> None:
    """Typed text comes back as interims and a final; stop and SIGTERM end it cleanly."""
    async with serve() as served:
        environment = {
            **os.environ,
            "VOXQL_URL": served.url,
            "VOXQL_WORKER_KEY": KEY,
            "VOXQL_AGENT_NAME": "echo",
            "PYTHONWARNINGS": "error",
        }
        program = await asyncio.create_subprocess_exec(
            python, "-P", EXAMPLE, env=environment, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        try:
            await served.workers.until(lambda: served.workers.free("echo") == 10)
            served.workers.start(StartRequest(SESSION, 1, "echo", served.token(), "audio"))
            await served.handler.saw("ready", 1)
            served.type("k", "one two  three")
            await served.handler.saw("inputAck", "k")
            served.command(Stop("SAVED"))
            await served.handler.saw("bye", "LEFT")
            await served.workers.until(lambda: served.workers.free("echo") == 10)
        finally:
            program.terminate()
            _, errors = await program.communicate()
        assert errors.decode() == ""
        assert program.returncode == 0
    heard = served.handler.utterances
    assert {(said.role, said.source) for said in heard} == {("AGENT", "TYPED")}
    assert len({said.segment for said in heard}) == 1
    assert [(said.text, said.final) for said in heard] == [
        ("one", False),
        ("one two", False),
        ("one two  three", True),
    ]
    assert [event for event in served.handler.events if event[0] == "state"] == [
        ("state", "LISTENING"),
        ("state", "SPEAKING"),
        ("state", "LISTENING"),
    ]
