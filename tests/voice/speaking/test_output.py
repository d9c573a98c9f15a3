"""Replies whose person leaves while they are generated."""

import asyncio

import numpy as np
from livekit import rtc
from livekit.agents.voice import io

from agent.speaking.output import LAST_FRAME, PersonOutput, ReplyText
from agent.speaking.writing import Said
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE, Begin, Clear, End, Peer, Played

FRAME_S = 0.1


class Wire:
    """A line that records what is sent."""

    def __init__(self) -> None:
        self.said: list[Begin | End | Clear] = []
        self.samples = 0
        self.came = asyncio.Event()

    def say(self, frame: Begin | End | Clear) -> None:
        self.said.append(frame)

    def sound(self, pcm: bytes) -> None:
        self.samples += len(pcm) // 2
        self.came.set()

    def state(self, state: str) -> None:
        """Ignore the state."""

    async def hears(self) -> None:
        """Return at once."""

    async def run(self) -> None:
        """Stay up."""
        await asyncio.Event().wait()


class Reply:
    """A reply as livekit-agents delivers it, word by word: a tenth of a second each."""

    def __init__(self, output: PersonOutput, text: ReplyText) -> None:
        self._output = output
        self._text = text
        self._at = 0.0

    async def word(self, word: str, *, is_last: bool = False) -> None:
        end = self._at + FRAME_S
        await self._text.capture_text(io.TimedString(f"{word} ", start_time=self._at, end_time=end))
        samples = np.zeros(int(FRAME_S * OUTPUT_SAMPLE_RATE), np.int16)
        frame = rtc.AudioFrame(samples.tobytes(), OUTPUT_SAMPLE_RATE, 1, len(samples))
        if is_last:
            frame.userdata[LAST_FRAME] = True
        await self._output.capture_frame(frame)
        self._at = end

    async def over(self) -> None:
        self._text.flush()
        self._output.flush()
        await self._output.wait_for_playout()
        self._text.settle()


async def test_the_rest_of_a_reply_whose_person_went_is_neither_played_nor_told() -> None:
    """The rest is still generated, and the next reply is whole and separate."""
    told: list[Said] = []
    wire, text = Wire(), ReplyText(told.append)
    output = PersonOutput(wire, text)
    output.on_peer(Peer(connected=True, reports_played=False))
    first = Reply(output, text)
    for word in ("one", "two", "three"):
        await first.word(word)
    await wire.came.wait()

    output.on_peer(Peer(connected=False, reports_played=False))
    output.on_peer(Peer(connected=True, reports_played=False))
    await first.word("four")
    await output.wait_for_playout()
    await first.word("five")
    sent = wire.samples
    await first.word("six", is_last=True)
    await first.over()
    assert wire.samples == sent
    second = Reply(output, text)
    await second.word("seven")
    await second.word("eight", is_last=True)
    await second.over()

    finals = [said for said in told if said.final]
    assert len(finals) <= 2, finals
    assert (finals[-1].text, finals[-1].interrupted, finals[-1].written) == (
        "seven eight",
        False,
        False,
    )
    assert all(said.interrupted and "four" not in said.text for said in finals[:-1])
    assert [type(frame) for frame in wire.said] == [Begin, Clear, Begin, End]
    assert output.cuts == 1


async def test_a_reply_that_is_cut_off_after_it_was_made_takes_nothing_of_the_next() -> None:
    """Nothing of the first reply follows the cut."""
    told: list[Said] = []
    wire, text = Wire(), ReplyText(told.append)
    output = PersonOutput(wire, text)
    output.on_peer(Peer(connected=True, reports_played=False))
    first = Reply(output, text)
    for word in ("one", "two", "three", "four", "five", "six"):
        await first.word(word)
    text.flush()
    output.flush()
    await wire.came.wait()

    output.clear_buffer()
    await output.wait_for_playout()
    second = Reply(output, text)
    await second.word("seven", is_last=True)
    await second.over()

    assert [said.text for said in told if said.final][-1] == "seven"
    assert [type(frame) for frame in wire.said] == [Begin, Clear, Begin, End]


async def test_an_interruption_cuts_a_reply_at_what_was_played() -> None:
    """Half a second more had been sent."""
    told: list[Said] = []
    wire, text = Wire(), ReplyText(told.append)
    output = PersonOutput(wire, text)
    output.on_peer(Peer(connected=True, reports_played=True))
    reply = Reply(output, text)
    for word in ("one", "two", "three", "four", "five", "six"):
        await reply.word(word)
    await wire.came.wait()
    assert wire.samples >= 0.5 * OUTPUT_SAMPLE_RATE
    begin = wire.said[0]
    assert isinstance(begin, Begin)

    output.on_played(Played(begin.playout, round(0.25 * OUTPUT_SAMPLE_RATE)))
    output.clear_buffer()
    await output.wait_for_playout()

    [final] = [said for said in told if said.final]
    assert (final.text, final.interrupted) == ("one two three", True)
