"""Sends the agent's replies to the person: the audio in real time, and its text."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from livekit import rtc
from livekit.agents.utils import is_given
from livekit.agents.voice import io

from agent.audio_transport import AudioTransport
from agent.speaking.playout import Playout, TimedWords
from agent.speaking.writing import Answer, Said, Tell
from agent_bridge.protocol.audio import (
    OUTPUT_SAMPLE_RATE,
    SAMPLE_WIDTH,
    Begin,
    Clear,
    End,
    Peer,
    Played,
)

LEAD: Final = 0.5
"""Seconds of audio sent ahead: enough to keep a busy machine from stuttering, little enough to stop
at once even if the person's side ignores `clear`."""
LAST_FRAME: Final = "voxql_last_frame"
"""Key in the user data of a reply's last frame; a reply that is cut off never reaches it."""
_CHUNK: Final = OUTPUT_SAMPLE_RATE // 25
"""Samples per message: 40 ms."""
_TICK: Final = 0.1
"""Seconds between checks of how much has been heard."""
_LAST_REPORT: Final = 0.25
"""Seconds for the person's side to answer a `clear` by reporting what it played."""
_STALLED: Final = 2.0
"""Seconds without a report after which a reply counts as over, as with a suspended tab."""


class _Reply:
    """The text of one reply, which livekit delivers before and while it is spoken.

    Args:
        answer: the answer being written; None if the reply is reported as it is spoken.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.words = TimedWords()
        self.untimed = ""
        self.is_written = False
        """All of its text has arrived."""
        self.is_told = False
        """Its final transcript was reported."""


class ReplyText(io.TextOutput):
    """Collects a reply's text. A reply without audio is reported when it is over.

    livekit decides at the start of a reply whether to speak it, and does not report the decision.
    So a reply that ends without audio was written. The person may join or leave at any moment.

    Args:
        tell: receives the text said so far whenever it grows by a word, and the final text.
        answer: returns the typed line's answer that is being given; None if there is none.
    """

    def __init__(self, tell: Tell, answer: Callable[[], Answer | None] = lambda: None) -> None:
        super().__init__(label="bridge", next_in_chain=None)
        self._tell = tell
        self._answer = answer
        self.reply = _Reply()
        self.reply.is_told = True
        self._is_dropping = False
        """The incoming text is the rest of a reported reply; nobody will hear it."""

    async def capture_text(self, text: str) -> None:
        """Take a piece of the reply; pieces from the voice carry their playback times."""
        if self._is_dropping:
            return
        if self.reply.is_written or self.reply.is_told:
            self.reply = _Reply(self._answer())
        if isinstance(text, io.TimedString) and is_given(text.start_time):
            ended = text.end_time if is_given(text.end_time) else text.start_time
            began = float(text.start_time)
            self.reply.words.add(
                str(text), round(began * OUTPUT_SAMPLE_RATE), round(ended * OUTPUT_SAMPLE_RATE)
            )
        else:
            self.reply.untimed += text

    def flush(self) -> None:
        """Mark the text as complete."""
        self.reply.is_written = True
        self._is_dropping = False

    def settle(self) -> None:
        """End the reply; if none of it was played, report it as written."""
        reply = self.reply
        text = reply.untimed.strip() or reply.words.text
        if reply.is_written and not reply.is_told and text:
            reply.is_told = True
            self.tell(Said(text, final=True, written=True))

    def tell(self, said: Said) -> None:
        """Report what has been said of the reply, unless its writing already reports it."""
        if self.reply.answer is None:
            self._tell(said)

    def take(self, samples: int) -> TimedWords:
        """Return the words of the reply that has just ended, which has `samples` samples in all."""
        self.reply.is_told = True
        self._is_dropping = not self.reply.is_written
        words = self.reply.words
        if not words.text and self.reply.untimed:
            words.spread(self.reply.untimed, samples)
        return words


class PersonOutput(io.AudioOutput):
    """Plays replies to the person, and reports what they have heard.

    Args:
        transport: takes the audio.
        text: holds the texts of the replies, and reports what was heard of them.
    """

    def __init__(self, transport: AudioTransport, text: ReplyText) -> None:
        super().__init__(
            label="person",
            capabilities=io.AudioOutputCapabilities(pause=False),
            sample_rate=OUTPUT_SAMPLE_RATE,
        )
        self._transport = transport
        self._text = text
        self._playout: Playout | None = None
        self._player: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._reports = False
        self._is_heard = False
        self._is_dropping = False
        """The incoming audio is the rest of a reply that was cut off."""
        self.cuts = 0
        """How many replies have been cut off so far."""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take audio of the reply, as fast as the voice produces it."""
        await super().capture_frame(frame)
        if self._is_dropping:
            return
        if self._playout is None:
            self._playout = Playout()
            self._player = asyncio.create_task(self._play(self._playout))
        if frame.userdata.get(LAST_FRAME):
            self._playout.is_whole = True
        self._playout.waiting += bytes(frame.data)
        self._playout.made += frame.samples_per_channel
        self._changed.set()

    def flush(self) -> None:
        """Mark the reply's audio as complete."""
        super().flush()
        self._is_dropping = False
        if self._playout is not None:
            self._playout.is_complete = True
            self._changed.set()

    def clear_buffer(self) -> None:
        """Stop at once: the person has interrupted."""
        playout = self._playout
        if playout is None or playout.is_cleared:
            return
        playout.is_cleared = True
        # livekit doesn't know that the person has left, and keeps producing the reply.
        self._is_dropping = not playout.is_complete
        self.cuts += 1
        playout.waiting.clear()
        if playout.began:
            self._transport.say(Clear(playout.id))
        self._changed.set()

    def on_peer(self, peer: Peer) -> None:
        """Note that the person joined or left; leaving cuts off the reply."""
        self._is_heard = peer.connected
        self._reports = peer.reports_played
        if not peer.connected and self._playout is not None and self._playout.began:
            self.clear_buffer()

    def on_played(self, played: Played) -> None:
        """Take a playback report from the person's side."""
        self._reports = True
        playout = self._playout
        if playout is not None and playout.id == played.playout:
            playout.report(played.samples, _now())
            self._changed.set()

    async def aclose(self) -> None:
        """Stop, and report what has been heard so far."""
        self.clear_buffer()
        if self._player is not None:
            await asyncio.wait({self._player})

    async def _play(self, playout: Playout) -> None:
        """Send a reply in real time, and report what is heard of it until it ends."""
        told = ""
        while not self._is_over(playout):
            self._send(playout)
            text = self._text.reply.words.heard(playout.played(_now(), reports=self._reports))
            if text and text != told:
                told = text
                self._text.tell(Said(text, final=False))
            await self._wait(_TICK)
        if playout.is_cleared and playout.began and self._reports and self._is_heard:
            await self._last_report(playout)
        self._finish(playout)

    def _send(self, playout: Playout) -> None:
        now = _now()
        size = _CHUNK * SAMPLE_WIDTH
        # Audio too short for a message waits for more, unless it is the last.
        enough = 1 if playout.is_complete else size
        while len(playout.waiting) >= enough and playout.lead(now) < LEAD:
            if not playout.began:
                self._transport.say(Begin(playout.id))
                self.on_playback_started(created_at=time.time())
            chunk = bytes(playout.waiting[:size])
            del playout.waiting[:size]
            self._transport.sound(chunk)
            playout.took(len(chunk) // SAMPLE_WIDTH, now)
            if not playout.waiting and playout.is_complete:
                self._transport.say(End(playout.id, playout.sent))

    def _is_over(self, playout: Playout) -> bool:
        if playout.is_cleared:
            return True
        if not playout.is_complete or playout.waiting:
            return False
        now = _now()
        if playout.played(now, reports=self._reports) >= playout.sent:
            return True
        return playout.lead(now) < -_STALLED and now - playout.reported_at > _STALLED

    async def _last_report(self, playout: Playout) -> None:
        before = playout.reported_at
        deadline = _now() + _LAST_REPORT
        while playout.reported_at == before and _now() < deadline:
            await self._wait(deadline - _now())

    def _finish(self, playout: Playout) -> None:
        played = playout.played(_now(), reports=self._reports)
        words = self._text.take(playout.made)
        everything = words.text
        text = words.heard(played) if played < playout.sent or playout.is_cleared else everything
        # Missing only the silence after the last word does not count as an interruption.
        interrupted = text != everything or not playout.is_whole
        if text:
            self._text.tell(Said(text, final=True, interrupted=interrupted))
        answer = self._text.reply.answer
        self._playout = None
        self.on_playback_finished(
            playback_position=played / OUTPUT_SAMPLE_RATE,
            interrupted=playout.is_cleared,
            # livekit later shows this to the model. The person has read all of a written answer.
            synchronized_transcript=text if answer is None else answer.text,
        )

    async def _wait(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


def _now() -> float:
    return asyncio.get_running_loop().time()
