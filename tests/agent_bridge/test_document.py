"""docs/bridge-protocol.md agrees with the code, and its example conversation works."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from agent_bridge.protocol import DIALECTS, CloseCode, NackCode, codes
from agent_bridge.server.documents import DOCS, documents, json_schema
from agent_bridge.server.handler import HelloResult, Input
from agent_bridge.server.workers import StartRequest
from hub.events import Stop
from tests.agent_bridge.serving import KEY, SESSION, Recorder, Served, serve
from tests.agent_bridge.wire import Raw, raw

TEXT = (Path(__file__).parents[2] / "docs" / "bridge-protocol.md").read_text()


def section(title: str) -> str:
    """Return the text under a heading, up to the next one of its level."""
    return TEXT.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row of each table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not set(row[0]) <= {"-"}]


def test_every_close_code_is_documented_with_what_a_client_does() -> None:
    """The table and the enum agree on number, name and whether the code is terminal."""
    documented = {
        int(row[0]): (row[1].strip("`"), row[2]) for row in rows(section("Close codes"))[1:]
    }
    expected = {int(code): (code.name, "yes" if code.is_terminal else "no") for code in CloseCode}
    expected[1000] = ("DONE", "after `bye`")
    assert documented == expected


def test_every_nack_code_is_documented() -> None:
    """The codes stand in the order of the enum."""
    named = [row[0].strip("`") for row in rows(section("Frames of `voxql.bridge.v1`"))]
    assert [name for name in named if name in set(NackCode)] == list(NackCode)


def test_every_frame_is_documented_in_its_direction() -> None:
    """The tables of both subprotocols list exactly the frames that each side reads."""
    for subprotocol, dialect in DIALECTS.items():
        chapter = section(f"Frames of `{subprotocol}`")
        to_server, to_agent = re.split(r"### Server to \w+\n", chapter)
        for text, readers in ((to_server, dialect.from_agent), (to_agent, dialect.from_server)):
            table = text.split("| type |", 1)[1].split("\n\n", 1)[0]
            named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
            assert named == list(readers)


def test_the_deadlines_and_limits_are_the_documented_ones() -> None:
    """A number changed in only one place fails here."""
    deadlines = {row[0]: row[1] for row in rows(section("Deadlines"))}
    assert deadlines["first frame"] == f"{codes.HELLO_SECONDS:g} s"
    assert deadlines["answer to `start`"] == f"{codes.START_SECONDS:g} s"
    assert deadlines["drain of a fenced attempt"] == f"{codes.FENCE_SECONDS:g} s"
    assert deadlines["answers owed after `bye`"] == f"{codes.BYE_SECONDS:g} s"
    assert f"({codes.FRAME_BYTES:,} bytes of UTF-8)" in section("Framing")
    assert f"1 to {codes.LARGEST_REVISION:,}" in TEXT


@pytest.mark.parametrize("name", documents())
def test_the_documents_for_programs_say_what_the_frames_are(name: str) -> None:
    """`python -m agent_bridge.server.documents` regenerates them."""
    assert (DOCS / name).read_text() == documents()[name]


def test_every_reference_between_the_documents_leads_somewhere() -> None:
    """Code and page generators follow them."""
    told = {name: json.loads(text) for name, text in documents().items()}
    references = re.findall(r'"\$ref": "([^"#]*)#/([^"]+)"', "".join(documents().values()))
    assert len(references) > 50
    for file, path in references:
        at = told[file or "bridge-protocol.asyncapi.json"]
        for part in path.split("/"):
            at = at[part]
        assert at


def test_the_schema_names_what_the_frames_of_the_document_have() -> None:
    """Each example frame has the members that its schema requires, and no unknown ones."""
    frames = json_schema()["$defs"]
    examples = [
        json.loads(line)["frame"] for line in TEXT.splitlines() if line.startswith('{"from":')
    ]
    assert len(examples) > 10
    for example in examples:
        alike = [
            frame
            for name, frame in frames.items()
            if name.split(".")[0] != "audio" and name.split(".")[1] == example["type"]
        ]
        assert any(
            set(frame["required"]) <= set(example) <= set(frame["properties"]) for frame in alike
        ), example


class Stage:
    """Plays the conversation: sends or awaits each line in the document's order."""

    def __init__(self, served: Served, stack: AsyncExitStack) -> None:
        self._served = served
        self._stack = stack
        self._secrets = {"$key": KEY, "$bridge": served.token(), "$audio": "an audio token"}
        self._connections: dict[str, Raw] = {}

    async def play(self, line: dict[str, Any]) -> None:
        """Play one line."""
        match line:
            case {"from": "agent", "on": name, "frame": frame}:
                await self._connections[name].socket.send(self._told(frame))
            case {"from": "server", "on": name, "frame": frame}:
                assert await self._connections[name].receive() == json.loads(self._told(frame))
            case {"do": "open", "on": name, "subprotocol": subprotocol}:
                context = raw(self._served.url, subprotocol)
                self._connections[name] = await self._stack.enter_async_context(context)
            case {"do": "break", "on": name}:
                self._connections[name].socket.transport.abort()
                await self._served.handler.saw("disconnected", 1)
            case {"do": "closed", "on": name, "code": code}:
                assert await self._connections[name].closed() == code
            case _:
                self._happen(line)

    def _happen(self, line: dict[str, Any]) -> None:
        match line:
            case {"do": "start", "agentName": name}:
                tokens = (self._secrets["$bridge"], self._secrets["$audio"])
                self._served.workers.start(StartRequest(SESSION, 1, name, *tokens))
            case {"do": "type", "key": key, "text": text}:
                self._served.type(key, text)
                # The database would keep it until it is acknowledged.
                self._served.handler.found = HelloResult(True, inputs=(Input(key, text),))
            case {"do": "end", "reason": reason}:
                self._served.command(Stop(reason))
            case _:
                raise AssertionError(f"the test does not know how to play {line}")

    def _told(self, frame: dict[str, Any]) -> str:
        data = json.dumps(frame)
        for name, secret in self._secrets.items():
            data = data.replace(f'"{name}"', f'"{secret}"')
        return data


async def test_the_conversation_of_the_document_happens_as_written() -> None:
    """It plays every line against the real endpoint."""
    block = re.search(r"```jsonl conversation\n(.*?)```", TEXT, re.DOTALL)
    assert block is not None
    lines = [json.loads(line) for line in block[1].splitlines()]
    handler = Recorder()
    async with serve(handler) as served, AsyncExitStack() as stack, asyncio.timeout(30):
        stage = Stage(served, stack)
        for line in lines:
            await stage.play(line)
        await served.workers.until(lambda: served.workers.free("echo") == 2)
    assert [(heard.text, heard.final) for heard in handler.utterances] == [
        ("what time", False),
        ("What time is it?", True),
        ("It is half", True),
    ]
    # Speech and states don't wait for the database as other events do, so compare them apart.
    assert [event[1] for event in handler.events if event[0] == "state"] == [
        "LISTENING",
        "SPEAKING",
    ]
    assert [event[0] for event in handler.events if event[0] not in ("utterance", "state")] == [
        "hello",
        "ready",
        "disconnected",
        "hello",
        "ready",
        "inputAck",
        "bye",
    ]
