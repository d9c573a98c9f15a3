"""Bad frames for the tests of the codec, the endpoint and the client."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_bridge.protocol import NackCode
from tests.agent_bridge.wire import words

MALFORMED: list[str | bytes] = [
    b'{"type": "ready"}',
    "",
    "ready",
    "null",
    "[]",
    '"ready"',
    "{}",
    '{"type": null}',
    '{"type": 1}',
    '{"type": ["ready"]}',
    '{"type": "ready"',
    '{"type": "ready", "x": NaN}',
    '{"type": "ready", "x": -Infinity}',
    '{"type": "ready", "x": ' + "9" * 5000 + "}",
    "[" * 30_000,
    '{"a":' * 10_000,
]
"""Frames that aren't a JSON object with a type, and so are bad from either side."""


def _utterances() -> list[dict[str, Any]]:
    wrong: dict[str, list[Any]] = {
        "segment": [None, 1, "", "a" * 129, "line\nbreak", "\ud800", ["a"]],
        "revision": [None, 0, -1, True, 1.0, "1", 2**53, 10**400],
        "role": [None, "user", "SYSTEM", 1, ["USER"], {}],
        "text": [None, 1, ["secret"], {"secret": 1}],
        "final": [None, 0, 1, "true"],
        "startedAt": [None, 1_700_000_000, True, ["2026-11-22T17:30:00Z"]],
        "endedAt": [1, False, {}],
        "interrupted": [0, "no"],
        "confidence": [True, "0.5", 10**400],
        "language": [1, ["en"]],
        "speaker": [1, {}],
        "source": ["CLIENT_REPORTED", "speech", 1],
    }
    frames = [
        {"type": "utterance", **words(), name: value}
        for name, values in wrong.items()
        for value in values
    ]
    missing = [
        {key: value for key, value in words().items() if key != name} | {"type": "utterance"}
        for name in words()
    ]
    return frames + missing


BAD_FROM_AGENT: list[dict[str, Any]] = [
    {"type": "hello"},
    {"type": "hello", "token": ""},
    {"type": "hello", "token": None},
    {"type": "hello", "token": ["secret"]},
    {"type": "hello", "token": "secret" * 1000},
    {"type": "hello", "token": "secret\x00"},
    {"type": "hello", "token": "t", "capabilities": "secret"},
    {"type": "hello", "token": "t", "capabilities": [1]},
    {"type": "hello", "token": "t", "capabilities": ["c"] * 33},
    {"type": "agentState"},
    {"type": "agentState", "state": "listening"},
    {"type": "agentState", "state": []},
    {"type": "inputAck", "key": ""},
    {"type": "inputAck"},
    {"type": "bye"},
    {"type": "bye", "reason": "\u2028"},
    {"type": "utterance", **words(), "role": "\ud800"},
    {"type": "utterance", **words(), "text": "\ud800", "role": "\ud800"},
    {"type": "utterance", **words(), "final": "\ud800"},
    {"type": "utterance", **words(), "confidence": "\ud800"},
    {"type": "agentState", "state": "\ud800"},
    *_utterances(),
]

_LATE = (datetime.now(UTC) + timedelta(days=2)).isoformat()

BAD_CONTENTS: list[tuple[dict[str, Any], NackCode]] = [
    ({"text": ""}, NackCode.EMPTY_TEXT),
    ({"text": " \n\t\u2003"}, NackCode.EMPTY_TEXT),
    ({"text": "a\0b"}, NackCode.BAD_TEXT),
    ({"text": "a\ud800b"}, NackCode.BAD_TEXT),
    ({"text": "a" * (32 * 1024 + 1)}, NackCode.TEXT_TOO_LONG),
    ({"startedAt": "yesterday"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": ""}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "\ud800"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "2026-11-22T17:30:00+00:60"}, NackCode.BAD_TIMESTAMP),
    ({"endedAt": "2026-11-22T17:30:00+24:00"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "2026-11-22"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "20261122T173000Z"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "2026-W47-7T17:30:00Z"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "2026-11-22T17:30:00"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "2026-02-30T17:30:00Z"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "2026-11-22T17:30:60Z"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "٢٠٢٦-11-22T17:30:00Z"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "1969-12-31T23:59:59Z"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "0001-01-01T00:00:00+23:59"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": "9999-12-31T23:59:59-23:59"}, NackCode.BAD_TIMESTAMP),
    ({"startedAt": _LATE}, NackCode.BAD_TIMESTAMP),
    ({"endedAt": _LATE}, NackCode.BAD_TIMESTAMP),
    ({"endedAt": "later"}, NackCode.BAD_TIMESTAMP),
    ({"confidence": -0.1}, NackCode.BAD_VALUE),
    ({"confidence": 2}, NackCode.BAD_VALUE),
    ({"language": ""}, NackCode.BAD_VALUE),
    ({"language": "x" * 36}, NackCode.BAD_VALUE),
    ({"speaker": "\n"}, NackCode.BAD_VALUE),
    ({"speaker": "x" * 129}, NackCode.BAD_VALUE),
]


def as_json(frame: dict[str, Any]) -> str:
    """Write a frame as JSON in UTF-8, with lone surrogates escaped."""
    data = json.dumps(frame, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", data)
