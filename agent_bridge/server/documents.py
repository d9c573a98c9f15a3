"""Generates machine-readable protocol documents: `python -m agent_bridge.server.documents`.

Writes a JSON Schema of every frame and an AsyncAPI description of the connections into `docs/`,
from the definitions of the frames. A test checks that the files are up to date.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent_bridge.protocol import BRIDGE_DIALECT, WORKER_DIALECT, audio
from agent_bridge.protocol.records import Record, schema_of, type_of

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
VERSION: Final = "1"

Kinds = Mapping[str, type[Record]]

_SPOKEN: Final[Mapping[str, tuple[str, str, Kinds, Kinds]]] = {
    "bridge": (
        "/bridge",
        BRIDGE_DIALECT.subprotocol,
        BRIDGE_DIALECT.from_agent,
        BRIDGE_DIALECT.from_server,
    ),
    "worker": (
        "/bridge",
        WORKER_DIALECT.subprotocol,
        WORKER_DIALECT.from_agent,
        WORKER_DIALECT.from_server,
    ),
    "audio": ("/audio", audio.SUBPROTOCOL, audio.KINDS, audio.KINDS),
}
"""By protocol: path, subprotocol, frames to the server, frames to the client."""


def _name(protocol: str, kind: type[Record]) -> str:
    return f"{protocol}.{type_of(kind)}.{kind.__name__}"


def json_schema() -> dict[str, Any]:
    """Return a JSON Schema (2020-12) with a definition of each frame."""
    frames: dict[str, Any] = {}
    for protocol, (_, _, received, sent) in _SPOKEN.items():
        for kind in dict.fromkeys([*received.values(), *sent.values()]):
            frames[_name(protocol, kind)] = schema_of(kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Frames of VoxQL's protocols for agents and sound",
        "$comment": "What the text adds (limits in bytes, times, order) is in bridge-protocol.md "
        "and audio-protocol.md.",
        "$defs": frames,
    }


def async_api() -> dict[str, Any]:
    """Return an AsyncAPI 3.0 document of the connections."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for protocol, (path, subprotocol, received, sent) in _SPOKEN.items():
        kinds = list(dict.fromkeys([*received.values(), *sent.values()]))
        for kind in kinds:
            name = _name(protocol, kind)
            messages[name] = {
                "name": type_of(kind),
                "summary": (kind.__doc__ or "").strip().splitlines()[0],
                "contentType": "application/json",
                "payload": {"$ref": f"bridge-protocol.schema.json#/$defs/{name}"},
            }
        channels[protocol] = {
            "address": path,
            "description": f"WebSocket with the subprotocol {subprotocol}.",
            "messages": {
                _name(protocol, kind): {"$ref": f"#/components/messages/{_name(protocol, kind)}"}
                for kind in kinds
            },
            "bindings": {"ws": {"method": "GET"}},
        }
        for action, those in (("receive", received), ("send", sent)):
            operations[f"{protocol}.{action}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{protocol}"},
                "messages": [
                    {"$ref": f"#/channels/{protocol}/messages/{_name(protocol, kind)}"}
                    for kind in those.values()
                ],
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "VoxQL: agents and sound",
            "version": VERSION,
            "description": "Seen from the server. bridge-protocol.md and audio-protocol.md say "
            "what may follow what, and what each side must do.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents() -> dict[str, str]:
    """Return the text of each generated file, by its name in `docs/`."""
    made = {
        "bridge-protocol.schema.json": json_schema(),
        "bridge-protocol.asyncapi.json": async_api(),
    }
    return {name: json.dumps(document, indent=2) + "\n" for name, document in made.items()}


def main() -> None:
    """Write the files."""
    for name, text in documents().items():
        (DOCS / name).write_text(text)
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
