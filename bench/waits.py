"""What large requests cost the server, and how long others wait for them.

`python -m bench.waits [NAME …]` prints a table, a line for each case:

MiB         size of the request
took_ms     time until its answer
cpu_ms      CPU time of the server, including its work for others meanwhile
late_ms     longest delay of a callback in the server's loop
turn_ms     longest processor time of the loop's thread between two callbacks
over_20_ms  number of callbacks that were more than 20 ms late
wait_ms     longest wait of another client for the answer to `{ viewer { id } }`
usual_ms    the same before the request
peak_MiB    additional memory at the peak
"""

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.equipment.processes import ROOT, Served, served
from bench.equipment.stage import Stage, set_up

SAVE: Final = """
mutation SaveSession($input: SaveSessionInput!) {
  saveSession(input: $input) { createdCount conflicts { index submittedText kept { text } } }
}"""
NEXT: Final = """
mutation Next($input: StartNewChatInput!) { startNewChat(input: $input) { session { id } } }"""
HISTORY: Final = "query($f: SessionFilter) { sessionHistory(filter: $f) { totalCount } }"
SMALL: Final = "{ viewer { id } }"
MESSAGES: Final = 10_000
BODY: Final = 8 * 1024 * 1024
FRAME: Final = 1024 * 1024
_BEGAN: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
_SHORT: Final = "and then we went down to the river to see the boats come in"


@dataclass(frozen=True)
class Case:
    """One request, and the request that must precede it, if any."""

    name: str
    body: Callable[[str], bytes]
    before: Callable[[str], bytes] | None = None
    is_socket: bool = False


def _messages(count: int, text: Callable[[int], str]) -> list[dict[str, Any]]:
    return [
        {
            "key": f"message-{number}",
            "role": "AGENT" if number % 2 else "USER",
            "text": text(number),
            "timestamp": (_BEGAN + timedelta(seconds=number)).isoformat(),
        }
        for number in range(count)
    ]


def _short(number: int) -> str:
    return f"{_SHORT} {number}"


def _other(number: int) -> str:
    return f"{_SHORT.upper()} {number}"


def _long(number: int) -> str:
    return (f"{number} " + _SHORT * 12)[:700]


def _long_other(number: int) -> str:
    return _long(number).upper()


def _chinese(number: int) -> str:
    return f"{number}" + "今天天气很好我们去河边" * 9


def _longest(number: int) -> str:
    return (f"{number} " + "words, " * 5_000)[: 32 * 1024]


def _body(query: str, variables: object) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def _save(text: Callable[[int], str], count: int = MESSAGES) -> Callable[[str], bytes]:
    return lambda id_: _body(
        SAVE, {"input": {"sessionId": id_, "messages": _messages(count, text)}}
    )


def _faulty(id_: str) -> bytes:
    messages = _messages(MESSAGES, _short)
    messages[-1]["role"] = "NOBODY"
    return _body(SAVE, {"input": {"sessionId": id_, "messages": messages}})


def _next(text: Callable[[int], str], key: str) -> Callable[[str], bytes]:
    def body(id_: str) -> bytes:
        previous = {"sessionId": id_, "messages": _messages(MESSAGES, text)}
        return _body(NEXT, {"input": {"previous": previous, "idempotencyKey": key}})

    return body


def _filled(piece: str, begin: str, end: str, size: int) -> Callable[[str], bytes]:
    """Fill a variable with as many copies of a piece as fit."""
    before = json.dumps({"query": HISTORY})[:-1] + ', "variables": {"f": ' + begin
    after = end + "}}"
    count = (size - len(before) - len(after) - len(piece)) // (len(piece) + 1)
    return lambda _: (before + ",".join([piece] * count) + after).encode()


def _text(piece: str) -> Callable[[str], bytes]:
    """Build a search of 8 MiB."""
    before = json.dumps({"query": HISTORY})[:-1] + ', "variables": {"f": {"search": "'
    return lambda _: (before + piece * ((BODY - 300) // len(piece)) + '"}}}').encode()


def _keys(size: int) -> Callable[[str], bytes]:
    before = json.dumps({"query": HISTORY})[:-1] + ', "variables": {"f": {'

    def body(_: str) -> bytes:
        pairs = ",".join(f'"x{number:07}":1' for number in range(size // 13 - 20))
        return (before + pairs + "}}}").encode()

    return body


def _deep(size: int) -> Callable[[str], bytes]:
    inner = "[" * 900 + "]" * 900
    return _filled(inner, "[", "]", size)


def _framed(body: Callable[[str], bytes]) -> Callable[[str], bytes]:
    return lambda id_: b'{"id":"1","type":"subscribe","payload":' + body(id_) + b"}"


CASES: Final = (
    Case("10,000 short", _save(_short)),
    Case("the same again", _save(_short), before=_save(_short)),
    Case("each text differs", _save(_other), before=_save(_short)),
    Case("10,000 of 700 characters", _save(_long)),
    Case("each of these differs", _save(_long_other), before=_save(_long)),
    Case("10,000 Chinese, escaped", _save(_chinese)),
    Case("250 of 32 KiB", _save(_longest, 250)),
    Case("startNewChat, 10,000", _next(_short, "k1")),
    Case("startNewChat, 700 characters", _next(_long, "k2")),
    Case("startNewChat again", _next(_short, "k3"), before=_next(_short, "k3")),
    Case("10,000, the last not one", _faulty),
    Case("refused: statuses", _filled('"ENDED"', '{"status":[', "]}", BODY)),
    Case("refused: empty lists", _filled("[]", '{"status":[', "]}", BODY)),
    Case("refused: empty objects", _filled("{}", '{"status":[', "]}", BODY)),
    Case("refused: numbers", _filled("1", '{"status":[', "]}", BODY)),
    Case("refused: fractions", _filled("1.5", '{"status":[', "]}", BODY)),
    Case("refused: names", _keys(BODY)),
    Case("refused: deep lists", _deep(BODY)),
    Case("one text of 8 MiB", _text("a")),
    Case("one text of escapes", _text("\\u4eca")),
    Case("one text, every other escaped", _text("a\\n")),
    Case("socket: 1 MiB, saved", _framed(_save(_short, 5_800)), is_socket=True),
    Case(
        "socket: 1 MiB, lists",
        _framed(_filled("[]", '{"status":[', "]}", FRAME - 60)),
        is_socket=True,
    ),
)


class RawClient:
    """Sends requests with an API token; accepts any answer."""

    def __init__(self, port: int, secret: str) -> None:
        self._port, self._secret = port, secret
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, body: bytes) -> bytes:
        """Send a request's body; return the answer."""
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        self._connection.request("POST", "/graphql", body, headers)
        return self._connection.getresponse().read()

    def frame(self, body: bytes) -> bytes:
        """Send a message over its own socket; return the answer."""
        url = f"ws://127.0.0.1:{self._port}/graphql"
        protocols: list[Any] = ["graphql-transport-ws"]
        with connect(url, subprotocols=protocols, proxy=None, max_size=None) as socket:
            token = {"Authorization": f"Bearer {self._secret}"}
            socket.send(json.dumps({"type": "connection_init", "payload": token}))
            socket.recv()
            socket.send(body.decode())
            try:
                return str(socket.recv()).encode()
            except ConnectionClosed as closed:
                return str(closed).encode()

    def pauses(self) -> dict[str, float]:
        """Return the pauses of the server's loop since the last call."""
        self._connection.request("GET", "/pauses")
        told: dict[str, float] = json.loads(self._connection.getresponse().read())
        return told

    def wait(self) -> float:
        """Return the seconds that a small query takes."""
        began = time.perf_counter()
        self.post(json.dumps({"query": SMALL}).encode())
        return time.perf_counter() - began


def measured(case: Case, server: Served, stage: Stage, number: int) -> dict[str, object]:
    """Send the case's request while another client repeats a small query."""
    with (
        RawClient(server.port, stage.secret) as sender,
        RawClient(server.port, stage.secret) as other,
    ):
        return _measured(case, server, stage.session_ids[number], sender, other)


def _measured(
    case: Case, server: Served, session_id: str, sender: RawClient, other: RawClient
) -> dict[str, object]:
    if case.before is not None:
        sender.post(case.before(session_id))
    body, answer = case.body(session_id), b""
    send = sender.frame if case.is_socket else sender.post
    usual = max(other.wait() for _ in range(20))

    def ask() -> None:
        nonlocal answer
        answer = send(body)

    time.sleep(0.3)
    other.pauses()
    memory, cpu = server.process.memory_info().rss, server.cpu_s()
    began, waits, peak = time.perf_counter(), [0.0], memory
    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        waits.append(other.wait())
        peak = max(peak, server.process.memory_info().rss)
        time.sleep(0.002)
    took = time.perf_counter() - began
    return {
        "case": case.name,
        "MiB": round(len(body) / 2**20, 1),
        "took_ms": round(1e3 * took),
        "cpu_ms": round(1e3 * (server.cpu_s() - cpu)),
        **{name: round(value, 1) for name, value in other.pauses().items()},
        "wait_ms": round(1e3 * max(waits), 1),
        "usual_ms": round(1e3 * usual, 1),
        "peak_MiB": round((peak - memory) / 2**20),
        "answer": answer[:110].decode(errors="replace"),
    }


def waits(cases: Sequence[Case], folder: Path) -> Iterator[dict[str, object]]:
    """Measure these cases, one after the other, on one server."""
    stage = asyncio.run(set_up(folder, len(cases) + 1))
    with served("watched", stage.folder) as server:
        # Warm up.
        with RawClient(server.port, stage.secret) as client:
            client.post(_save(_short, 10)(stage.session_ids[-1]))
        for number, case in enumerate(cases):
            yield measured(case, server, stage, number)


def main() -> None:
    """Print a table of the named cases, or of all."""
    cases = [case for case in CASES if not sys.argv[1:] or case.name in sys.argv[1:]]
    cache = ROOT / ".cache" / "bench"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="waits-", dir=cache) as folder:
        for number, found in enumerate(waits(cases, Path(folder))):
            _show(found, is_first=number == 0)


def _show(found: dict[str, object], *, is_first: bool) -> None:
    if is_first:
        print(" ".join(f"{name:>10}" for name in list(found)[1:-1]))
    print(f"{found['case']}: {found['answer']}")
    print(" ".join(f"{value!s:>10}" for value in list(found.values())[1:-1]), flush=True)


if __name__ == "__main__":
    main()
