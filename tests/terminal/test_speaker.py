"""Only sound that was really heard is reported as played."""

from types import SimpleNamespace
from typing import Any

from terminal.audio.playouts import SAMPLE_RATE, Playouts, Taken
from terminal.audio.speaker import ClockSpeaker, SoundCard


def _sound(samples: int) -> bytes:
    return b"\1\0" * samples


def test_replies_are_taken_in_order_and_counted_apart() -> None:
    """A stretch may hold the end of one reply and the beginning of the next."""
    playouts = Playouts()
    for name in ("a", "b"):
        playouts.begin(name)
        playouts.add(_sound(100))
        playouts.end(name)
    sound, taken = playouts.take(150)
    assert len(sound) == 300
    assert taken == [Taken("a", 100), Taken("b", 50)]
    for part in taken:
        playouts.was_heard(part)
    assert playouts.reports() == [Taken("a", 100), Taken("b", 50)]
    assert playouts.reports() == []
    assert not playouts.is_empty


def test_what_was_cleared_is_never_counted() -> None:
    """The last report of a cleared reply is the position it had reached."""
    playouts = Playouts()
    playouts.begin("a")
    playouts.add(_sound(100))
    playouts.was_heard(playouts.take(30)[1][0])
    playouts.clear("a")
    assert playouts.is_empty
    assert playouts.take(100) == (b"", [])
    assert playouts.report_of("a") == Taken("a", 30)
    playouts.add(_sound(5))
    assert playouts.waiting == 0, "late sound of a cleared reply is dropped"


def test_a_reply_that_still_comes_keeps_its_place() -> None:
    """The next reply plays only after the one before it is complete."""
    playouts = Playouts()
    playouts.begin("a")
    playouts.add(_sound(10))
    assert playouts.take(20)[1] == [Taken("a", 10)]
    assert not playouts.is_empty
    playouts.end("a")
    assert playouts.is_empty


def test_a_lost_connection_ends_the_reply_that_it_brought() -> None:
    """Otherwise the conversation would wait forever for the rest."""
    playouts = Playouts()
    playouts.begin("a")
    playouts.add(_sound(10))
    playouts.lost()
    playouts.take(10)
    assert playouts.is_empty


def test_without_a_device_time_decides() -> None:
    """Received sound counts as heard at the pace of real time, from its arrival."""
    now = 100.0
    speaker = ClockSpeaker(lambda: now)
    speaker.advance()
    now += 5.0
    speaker.playouts.begin("a")
    speaker.playouts.add(_sound(SAMPLE_RATE))
    speaker.advance()
    assert speaker.playouts.report_of("a") == Taken("a", 0)
    now += 0.25
    speaker.advance()
    assert speaker.playouts.report_of("a") == Taken("a", SAMPLE_RATE // 4)
    now += 0.25
    speaker.cut("a")
    assert speaker.playouts.report_of("a") == Taken("a", SAMPLE_RATE // 2)
    assert speaker.is_silent


class _Device:
    """A double of the `sounddevice` module and its stream, the edge to the hardware."""

    def __init__(self) -> None:
        self.time = 0.0
        self.is_open = False

    def RawOutputStream(self, *, callback: Any, **_: Any) -> "_Device":
        self.callback = callback
        return self

    def start(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def wants(self, frames: int, leaves_at: float) -> bytes:
        out = bytearray(2 * frames)
        self.callback(memoryview(out), frames, SimpleNamespace(outputBufferDacTime=leaves_at), None)
        return bytes(out)


def test_a_sound_card_counts_what_has_left_it() -> None:
    """Sound in the card's buffer counts only once its output time has come."""
    device = _Device()
    speaker = SoundCard(device)
    speaker.playouts.begin("a")
    speaker.playouts.add(_sound(600))
    assert device.wants(480, leaves_at=1.0) == _sound(480)
    assert device.wants(480, leaves_at=1.02) == _sound(120) + bytes(2 * 360)
    device.time = 1.0
    speaker.advance()
    assert speaker.playouts.report_of("a") == Taken("a", 0)
    device.time = 1.0201
    speaker.advance()
    assert speaker.playouts.report_of("a") == Taken("a", 480)
    assert not speaker.is_silent
    speaker.close()
    assert not device.is_open


def test_a_sound_card_that_is_cut_off_counts_what_it_cannot_call_back() -> None:
    """The few samples in the card's own buffer will be heard; the queue will not."""
    device = _Device()
    speaker = SoundCard(device)
    speaker.playouts.begin("a")
    speaker.playouts.add(_sound(1000))
    device.wants(480, leaves_at=1.0)
    speaker.cut("a")
    assert speaker.playouts.report_of("a") == Taken("a", 480)
    assert device.wants(480, leaves_at=1.02) == bytes(960)
    assert speaker.is_silent
