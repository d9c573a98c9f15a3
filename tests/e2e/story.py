"""One person's conversations, in real speech and real time, on either transport."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.call import Call
from tests.e2e.conftest import ready
from tests.e2e.losses import Loss, lose_person
from tests.e2e.person import Person
from tests.e2e.saying import Interruption, Spoken, make_noise, say, speak_over
from tests.e2e.seen import Json, Seen
from tests.e2e.sound import random_words, recording
from tests.server_process import ServerProcess

LONG: Final = "0870"
SECOND: Final = "0880"
"""What is said in the second conversation."""

LoseAgent = Callable[[Person, Call], Awaitable[Loss]]


@dataclass
class Story:
    """Two conversations with a power cut between them, as they were seen from outside."""

    call: Call
    """The first of them."""
    noise_ended: float | None
    """When there was noise before anything was said."""
    spoken: list[Spoken]
    interruption: Interruption
    person_lost: Loss
    agent_lost: Loss
    shown: list[Seen]
    """Every final that was shown in the first one."""
    kept: list[Json]
    """The first one's utterances, read from the server that came after the killed one."""
    started: Json
    """What `startNewChat` answered."""
    second: str
    second_finals: list[Seen]
    saved: Json
    history: Json
    more: Any = field(default=None)
    """What happened after it, where something did."""

    @property
    def clips(self) -> list[Spoken]:
        """All that was said in one piece, and answered, in the first one."""
        return [*self.spoken, self.interruption.then]


async def happen(
    server: ServerProcess,
    lose_agent: LoseAgent,
    then: Callable[[Person], Awaitable[Any]] | None = None,
    has_noise: bool = False,
    **given: object,
) -> Story:
    """Hold both conversations.

    Args:
        server: is killed, and started again.
        lose_agent: what happens to the agent of the first one.
        then: what happens in the end.
        has_noise: whether there is noise in the beginning.
        given: how the first one is begun.
    """
    async with Person(server.url) as person:
        async with await person.talk(**given) as call:
            noise_ended = await make_noise(call) if has_noise else None
            made = random_words(random.randrange(1_000_000))
            spoken = [await say(call, clip) for clip in (recording(LONG), made)]
            interruption = await speak_over(person, call)
            person_lost = await lose_person(server, person, call)
            agent_lost = await lose_agent(person, call)
            server.kill()
        shown = call.finals()
        await asyncio.to_thread(server.start)
        ready(server)
        person.url = server.url
        kept = await person.utterances(call.id)
        started = await person.start(previous={"sessionId": call.id, "messages": call.messages})
        async with Call(person, started) as second:
            await second.answered(second.say(recording(SECOND)))
            saved = await second.save()
            await second.until(lambda: second.end)
        return Story(
            call=call,
            noise_ended=noise_ended,
            spoken=spoken,
            interruption=interruption,
            person_lost=person_lost,
            agent_lost=agent_lost,
            shown=shown,
            kept=kept,
            started=started,
            second=second.id,
            second_finals=second.finals(),
            saved=saved,
            history=await person.history(),
            more=await then(person) if then is not None else None,
        )
