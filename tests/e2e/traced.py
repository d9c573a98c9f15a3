"""Checks in a trace of system calls that acknowledged finals were on disk."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CALLS: Final = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync"
_SYNCS: Final = ("fsync", "fdatasync")
_READS: Final = ("read", "readv", "recvfrom", "recvmsg")
_CALL: Final = re.compile(r"(\w+)\(\d+<(.*?)>[,)](.*)", re.DOTALL)
_DATA: Final = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_LONG: Final = 1_000_000


def command(trace: Path) -> tuple[str, ...]:
    """Return the command prefix that makes a server log its reads, writes and syncs to `trace`.

    With -D the tracer is the server's grandchild, not its parent, so signals reach the server.
    """
    options = ("-D", "-f", "-qq", "-ttt", "-yy", "-xx", "-s", str(_LONG), "-o", str(trace))
    return ("strace", *options, "-e", f"trace={CALLS}", "-e", "signal=none")


@dataclass(frozen=True)
class Acked:
    """An acknowledged final: the trace lines of its arrival and of its ack."""

    segment: str
    arrived: int
    answered: int


@dataclass
class Trace:
    """The events of a trace by line number; strace writes them in order."""

    acked: list[Acked] = field(default_factory=list)
    syncs: list[tuple[int, int]] = field(default_factory=list)
    """Where each sync of the database began and ended."""
    lines: list[str] = field(default_factory=list)
    """The trace itself."""

    @property
    def unsynced(self) -> list[Acked]:
        """Finals that were acknowledged without a complete sync since their arrival."""
        return [one for one in self.acked if not self._is_safe(one)]

    def told(self, one: Acked) -> str:
        """Return the calls around this final, without their data."""
        around = self.lines[max(0, one.arrived - 20) : one.answered + 3]
        return "\n".join(re.sub(r'"(\\x[0-9a-f]{2})*"', '"…"', line) for line in around)

    def _is_safe(self, one: Acked) -> bool:
        return any(one.arrived < began and done < one.answered for began, done in self.syncs)


@dataclass(frozen=True)
class _Call:
    name: str
    file: str
    data: bytes
    began: int
    done: int


def read(trace: Path) -> Trace:
    """Decode a trace."""
    text = trace.read_text()
    found = Trace(lines=text.splitlines())
    arrived: dict[str, int] = {}
    streams: dict[tuple[str, bool], bytes] = {}
    for call in _calls(text):
        if call.name in _SYNCS:
            if Path(call.file).name.startswith("voxql.db"):
                found.syncs.append((call.began, call.done))
        elif call.file.startswith("TCP"):
            is_read = call.name in _READS
            stream = (call.file, is_read)
            frames, streams[stream] = _frames(streams.get(stream, b"") + call.data)
            for frame in frames:
                if is_read and frame.get("type") == "utterance" and frame["final"]:
                    arrived[frame["segment"]] = call.done
                elif not is_read and frame.get("type") == "ack" and frame["segment"] in arrived:
                    acked = Acked(frame["segment"], arrived.pop(frame["segment"]), call.began)
                    found.acked.append(acked)
    assert not arrived, "every final was acknowledged"
    return found


def _calls(text: str) -> Iterator[_Call]:
    """Yield system calls as they end, including those split by another thread's call."""
    pending: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines()):
        thread, _, rest = line.split(maxsplit=2)
        began = number
        if rest.endswith("<unfinished ...>"):
            # The space before the marker is not part of the call.
            pending[thread] = rest.removesuffix("<unfinished ...>").rstrip(), number
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>", rest):
            before, began = pending.pop(thread)
            rest = before + rest[resumed.end() :]
        if match := _CALL.match(rest):
            name, file, arguments = match.groups()
            parts = _DATA.findall(arguments.encode())
            data = bytes.fromhex(b"".join(parts).replace(rb"\x", b"").decode())
            yield _Call(name, _unescaped(file), _sent(data, rest), began, number)


def _sent(data: bytes, line: str) -> bytes:
    """Cut a call's data to the length that it returned."""
    result = line.rpartition("= ")[2].split()[0]
    return data[: int(result)] if result.isdigit() else b""


def _unescaped(file: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), file)


def _frames(data: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Return the complete WebSocket messages of a stream, and the rest."""
    if data[:4] in (b"GET ", b"POST", b"HTTP"):
        head, separator, data = data.partition(b"\r\n\r\n")
        if not separator:
            return [], head
    found: list[dict[str, Any]] = []
    while len(data) >= 2:
        start, length = 2, data[1] & 0x7F
        if length >= 126:
            extra = 2 if length == 126 else 8
            start, length = 2 + extra, int.from_bytes(data[2 : 2 + extra])
        mask = b"\0\0\0\0"
        if data[1] & 0x80:
            mask = data[start : start + 4]
            start += 4
        if len(data) < start + length:
            break
        payload = data[start : start + length]
        if data[0] & 0x0F == 1:
            plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            found += _json(plain)
        data = data[start + length :]
    return found, data


def _json(text: bytes) -> list[dict[str, Any]]:
    try:
        value = json.loads(text)
    except ValueError:
        return []
    return [value] if isinstance(value, dict) else []
