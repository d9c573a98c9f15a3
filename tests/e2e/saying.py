"""What a person says in a story, and what came of it."""

import asyncio
from dataclasses import dataclass
from typing import Final

from tests.e2e.call import Call
from tests.e2e.microphone import Said
from tests.e2e.player import RATE, Reply
from tests.e2e.seen import Seen
from tests.e2e.sound import Clip, noises, recording, spoken

REPEATED: Final = "0890"
"""What the agent repeats in the answer that is spoken over."""
OVER: Final = "0930"
"""What is said while the agent speaks."""
CUT_OFF_AFTER_S: Final = 1.2
"""So long a reply is heard before somebody speaks over it."""
NOISE_S: Final = 1.0
SENTENCE: Final = (
    "the old train left the station early in the morning and went slowly along the river to the "
    "mountain village where my brother lives with his children and a very large brown dog"
)


@dataclass
class Spoken:
    """What came of one clip."""

    clip: Clip
    interims: list[Seen]
    finals: list[Seen]
    """Of both sides, until there was an answer."""
    replies: list[Reply]

    @property
    def heard(self) -> list[Seen]:
        """What was understood of it."""
        return [seen for seen in self.finals if seen.role == "USER"]


@dataclass
class Interruption:
    """A reply that was spoken over."""

    reply: Reply
    over: Said
    then: Spoken


async def say(call: Call, clip: Clip) -> Spoken:
    """Say something and hear the answer out."""
    replies = len(call.replies)
    return await _answered(call, call.say(clip), replies)


async def begin_sentence(call: Call) -> Said:
    """Say a long sentence; return when its beginning has been understood."""
    cut = call.say(spoken("long sentence", SENTENCE))
    await call.until(lambda: call.is_heard_to_begin(SENTENCE, cut.began))
    return cut


async def make_noise(call: Call) -> float:
    """Let the microphone pick up what nobody has said; return when that was over."""
    for name, pcm in noises(NOISE_S).items():
        await call.hear(pcm, name).done
    return asyncio.get_running_loop().time()


async def speak_over(call: Call) -> Interruption:
    """Say something, and speak again before all of the answer was heard."""
    before = len(call.replies)
    call.say(recording(REPEATED))
    await call.until(
        lambda: len(call.replies) > before and call.replies[before].samples > CUT_OFF_AFTER_S * RATE
    )
    reply = call.replies[before]
    over = call.say(recording(OVER).trimmed())
    await call.until(lambda: reply.silent_since)
    return Interruption(reply, over, await _answered(call, over, before + 1))


async def _answered(call: Call, said: Said, replies: int) -> Spoken:
    await call.answered(said)
    # The end of a reply that was spoken over is no part of it.
    older = {seen.key for seen in call.seen if seen.at < said.began}
    finals = [seen for seen in call.finals(since=said.began) if seen.key not in older]
    return Spoken(said.clip, call.interims(said.began), finals, call.replies[replies:])
