"""One person's conversations over `/audio`, in real speech and real time."""

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from tests.e2e.client.call import Call
from tests.e2e.client.person import Person
from tests.e2e.client.seen import Json, Seen
from tests.e2e.conftest import ready
from tests.e2e.conversation.losses import Loss, Stop, lose_agent, lose_person, stop
from tests.e2e.conversation.saying import Interruption, Spoken, make_noise, say, speak_over
from tests.programs.server_process import ServerProcess
from tests.speech.sound import random_words, recording

LONG: Final = "0870"
SEEDS: Final = (0, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25)
"""Seeds of random words that the recogniser hears as one utterance and gets right."""
SECOND: Final = "0880"
"""The clip that is said in the second conversation."""


@dataclass
class Story:
    """Two conversations with a power cut between them, as seen by the client."""

    call: Call
    """The first conversation."""
    noise_ended: float
    """When the noise before the first words ended."""
    spoken: list[Spoken]
    interruption: Interruption
    person_lost: Loss
    agent_lost: Loss
    shown: list[Seen]
    """Every final that was shown in the first conversation."""
    kept: list[Json]
    """The first conversation's utterances, read after the server was killed and restarted."""
    started: Json
    """The result of `startNewChat`."""
    second: str
    second_finals: list[Seen]
    saved: Json
    history: Json
    stopped: Stop
    """The outcome of stopping the server at the end."""

    @property
    def clips(self) -> list[Spoken]:
        """All clips of the first conversation that were said whole and answered."""
        return [*self.spoken, self.interruption.then]


async def happen(server: ServerProcess) -> Story:
    """Hold both conversations; kill the server between them, and stop it at the end."""
    async with Person(server.url) as person:
        async with await person.talk() as call:
            noise_ended = await make_noise(call)
            made = random_words(random.choice(SEEDS))
            spoken = [await say(call, clip) for clip in (recording(LONG), made)]
            interruption = await speak_over(call)
            person_lost = await lose_person(server, person, call)
            agent_lost = await lose_agent(server, person, call)
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
            stopped=await stop(server, person),
        )
