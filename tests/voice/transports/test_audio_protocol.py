"""Frames of docs/audio-protocol.md."""

import json
import re
from pathlib import Path

import pytest

from agent_bridge.protocol.audio import (
    BadFrame,
    Begin,
    Clear,
    Close,
    End,
    Frame,
    Hello,
    Peer,
    Played,
    Role,
    Welcome,
    check_sound,
    decode,
    encode,
)

PAGE = Path(__file__).parents[3] / "docs" / "audio-protocol.md"


@pytest.mark.parametrize(
    "frame",
    [
        Hello("token", reports_played=True),
        Welcome("ses_1", Role.PERSON),
        Peer(connected=True, reports_played=True),
        Begin("ply_1"),
        End("ply_1", 24_000),
        Clear("ply_1"),
        Played("ply_1", 0),
    ],
)
def test_frames_survive_the_wire(frame: Frame) -> None:
    """Decoding reverses encoding."""
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "null",
        "[]",
        '"hello"',
        "{}",
        '{"type": 1}',
        '{"type": "hello"}',
        '{"type": "hello", "token": ""}',
        '{"type": "hello", "token": 5}',
        json.dumps({"type": "hello", "token": "x" * 4_097}),
        '{"type": "hello", "token": "x", "reportsPlayed": 1}',
        '{"type": "played", "playout": "p"}',
        '{"type": "played", "playout": "p", "samples": -1}',
        '{"type": "played", "playout": "p", "samples": 1.0}',
        '{"type": "played", "playout": "p", "samples": true}',
        '{"type": "played", "playout": "p", "samples": NaN}',
        '{"type": "played", "playout": "p", "samples": 9007199254740992}',
        '{"type": "played", "playout": "", "samples": 1}',
        '{"type": "clear", "playout": "a\\nb"}',
        '{"type": "welcome", "session": "s", "role": "GHOST"}',
        "[" * 100_000,
    ],
)
def test_malformed_frames_are_refused(message: str) -> None:
    """Anything that isn't a frame raises BadFrame."""
    with pytest.raises(BadFrame):
        decode(message)


def test_unknown_frames_are_told_from_malformed_ones() -> None:
    """A client ignores unknown types; the server closes."""
    assert decode('{"type": "novelty", "more": 1}') is None


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0"])
def test_sound_is_whole_samples(data: bytes) -> None:
    """Half a sample would shift all later ones by a byte and turn them into noise."""
    with pytest.raises(BadFrame):
        check_sound(data)


def test_the_page_lists_every_close_code() -> None:
    """docs/audio-protocol.md and the code agree on numbers, names and which codes are terminal."""
    rows = re.findall(r"^\| (\d{4}) \| `(\w+)` \| (yes|no) \|", PAGE.read_text(), re.MULTILINE)
    assert {(int(number), name, terminal == "yes") for number, name, terminal in rows} == {
        (code.value, code.name, code.is_terminal) for code in Close
    }


def test_close_reasons_fit_into_a_close_frame() -> None:
    """RFC 6455 allows 123 bytes; a longer reason would break the connection."""
    assert len(Close.BAD_FRAME.says("x" * 500).encode()) == 123
