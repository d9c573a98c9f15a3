"""`python -m bench.interim`: what the server runs for one interim, from its frame to its reader.

It counts instead of measuring time: a server in this process, one agent and one reader in a thread
of their own, and Python's profiler on the server's thread while one interim passes.
"""

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from asgi import build_app
from bench.equipment.stage import Stage, set_up
from serving.process.address import listening_socket, local_address
from serving.process.server import WebServer, configured
from settings import Settings

ROOT: Final = Path(__file__).resolve().parents[1]
OTHERS: Final = ("bench", ".venv", "tests")
WATCH: Final = """subscription($id: ID!) { transcripts(sessionId: $id) { cursor isCaughtUp
  utterances { id key revision role source text isFinal sortKey startedAt } } }"""
WITHIN_S: Final = 10.0


class Way:
    """What has run since it was begun. Belongs to the thread that runs the server."""

    def __init__(self) -> None:
        self.own: Counter[tuple[str, str]] = Counter()
        """Calls of functions of this project, by file and function; each time that a coroutine
        goes on counts as one."""
        self.calls = 0
        """All calls, those of libraries and of C included."""
        self.tasks: set[object] = set()
        """In which functions of this project ran."""

    def begin(self) -> None:
        """Count from now on."""
        sys.setprofile(self._note)

    def end(self) -> None:
        """Count no more."""
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_call"):
            return
        self.calls += 1
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            name = path.relative_to(ROOT)
            if name.parts[0] not in OTHERS:
                self.own[str(name), frame.f_code.co_qualname] += 1
                self.tasks.add(asyncio.current_task())


def _send(socket: ClientConnection, **frame: Any) -> None:
    socket.send(json.dumps(frame))


def _agent(url: str, token: str) -> ClientConnection:
    """Come as a session's agent."""
    socket = connect(f"{url}/bridge", subprotocols=[Subprotocol("voxql.bridge.v1")])
    _send(socket, type="hello", token=token)
    assert json.loads(socket.recv(WITHIN_S))["type"] == "welcome"
    _send(socket, type="ready")
    return socket


def _reader(url: str, stage: Stage) -> ClientConnection:
    """Watch the session, up to where it is caught up."""
    protocol = Subprotocol("graphql-transport-ws")
    socket = connect(f"{url}/graphql", subprotocols=[protocol])
    headers = {"Authorization": f"Bearer {stage.secret}"}
    _send(socket, type="connection_init", payload=headers)
    assert json.loads(socket.recv(WITHIN_S))["type"] == "connection_ack"
    operation = {"query": WATCH, "variables": {"id": stage.session_ids[0]}}
    _send(socket, type="subscribe", id="1", payload=operation)
    while not _event(socket)["isCaughtUp"]:
        pass
    return socket


def _event(socket: ClientConnection) -> dict[str, Any]:
    message = json.loads(socket.recv(WITHIN_S))
    assert message["type"] == "next", message
    event: dict[str, Any] = message["payload"]["data"]["transcripts"]
    return event


def _say(socket: ClientConnection, revision: int) -> None:
    now = datetime.now(UTC).isoformat()
    words = " ".join(["word"] * revision)
    _send(
        socket,
        type="utterance",
        segment="SG_1",
        revision=revision,
        role="USER",
        text=words,
        final=False,
        startedAt=now,
    )


def _talk(
    url: str, stage: Stage, token: str, on_server: Callable[[Callable[[], None]], None]
) -> Way:
    """Say two interims; return what the second one ran."""
    way = Way()
    with _agent(url, token) as agent, _reader(url, stage) as reader:
        for revision in (1, 2, 3):
            _say(agent, revision)
            while not (said := _event(reader)["utterances"]):
                pass
            assert len(said[0]["text"].split()) == revision
            assert json.loads(agent.recv(WITHIN_S))["type"] == "ack"
        on_server(way.begin)
        _say(agent, 4)
        _event(reader)
        assert json.loads(agent.recv(WITHIN_S))["type"] == "ack"
        on_server(way.end)
    return way


async def _measured(folder: Path) -> Way:
    stage = await set_up(folder, 1)
    settings = Settings(data_dir=folder, agent="external")
    app: Starlette = build_app(settings)
    with listening_socket("127.0.0.1", 0) as sock:
        server = WebServer(configured(app), [app.state.on_shutdown])
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await server.opened.wait()
        port = local_address(sock)[1]
        loop = asyncio.get_running_loop()

        async def called(act: Callable[[], None]) -> None:
            act()

        def on_server(act: Callable[[], None]) -> None:
            asyncio.run_coroutine_threadsafe(called(act), loop).result(WITHIN_S)

        token = app.state.backend.tokens.bridge(stage.session_ids[0], 1)
        way = await asyncio.to_thread(_talk, f"ws://127.0.0.1:{port}", stage, token, on_server)
        server.should_exit = True
        await serving
    return way


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="voxql-interim-") as folder:
        way = asyncio.run(_measured(Path(folder)))
    table = Table("file", "function", "calls", title="One interim, from its frame to its reader")
    for (file, function), calls in sorted(way.own.items()):
        table.add_row(file, function, str(calls))
    console = Console()
    console.print(table)
    files = {file for file, _ in way.own}
    console.print(
        f"{len(files)} files, {way.own.total()} calls of our own, {way.calls} calls in all, "
        f"{len(way.tasks)} tasks"
    )


if __name__ == "__main__":
    main()
