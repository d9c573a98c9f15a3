"""What a person says in a story, and the outcome."""

import asyncio
from dataclasses import dataclass
from typing import Final

from tests.e2e.client.call import Call
from tests.e2e.client.microphone import Said
from tests.e2e.client.player import RATE, Reply
from tests.e2e.client.seen import Seen
from tests.speech.sound import Clip, noises, recording, spoken

REPEATED: Final = "0890"
"""The clip that the agent repeats in the interrupted answer."""
OVER: Final = "0930"
"""The clip that is said while the agent speaks."""
CUT_OFF_AFTER_S: Final = 1.2
"""How much of a reply is heard before it is interrupted."""
NOISE_S: Final = 1.0
SENTENCE: Final = (
    "the old train left the station early in the morning and went slowly along the river to the "
    "mountain village where my brother lives with his children and a very large brown dog"
)


@dataclass
class Spoken:
    """The outcome of one clip."""

    clip: Clip
    interims: list[Seen]
    finals: list[Seen]
    """The finals of both sides, up to the answer."""
    replies: list[Reply]

    @property
    def heard(self) -> list[Seen]:
        """The person's finals."""
        return [seen for seen in self.finals if seen.role == "USER"]


@dataclass
class Interruption:
    """A reply that was interrupted."""

    reply: Reply
    over: Said
    then: Spoken


async def say(call: Call, clip: Clip) -> Spoken:
    """Say something, and listen to the whole answer."""
    replies = len(call.replies)
    return await _answered(call, call.say(clip), replies)


async def begin_sentence(call: Call) -> Said:
    """Say a long sentence; return once its beginning was transcribed."""
    cut = call.say(spoken("long sentence", SENTENCE))
    await call.until(lambda: call.is_heard_to_begin(SENTENCE, cut.began))
    return cut


async def make_noise(call: Call) -> float:
    """Play noise into the microphone; return when it was over."""
    for name, pcm in noises(NOISE_S).items():
        await call.hear(pcm, name).done
    return asyncio.get_running_loop().time()


async def speak_over(call: Call) -> Interruption:
    """Say something, and interrupt the answer."""
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
    # Exclude the final of an interrupted reply.
    older = {seen.key for seen in call.seen if seen.at < said.began}
    finals = [seen for seen in call.finals(since=said.began) if seen.key not in older]
    return Spoken(said.clip, call.interims(said.began), finals, call.replies[replies:])
