"""The shipped agent greets once in a conversation, even if a connection or the agent is lost."""

import psutil
import pytest

from agent.demo.responder import GREETING
from tests.e2e.client.person import Person
from tests.programs.server_process import ServerProcess
from tests.speech.hearing import understood
from tests.speech.words import error_rate

pytestmark = pytest.mark.timeout(180)


async def test_a_person_is_greeted_once(greeting: ServerProcess) -> None:
    """The greeting is spoken and shown; a new connection or agent does not repeat it."""
    async with Person(greeting.url) as person, await person.talk() as call:
        await call.until(lambda: call.finals("AGENT"))
        (said,) = call.finals("AGENT")
        (reply,) = call.replies
        assert said.text == GREETING
        assert error_rate([GREETING], [understood(reply.heard)]) <= 0.2

        await call.drop()
        await call.rejoin()
        statuses = len(call.statuses)
        for process in psutil.Process(greeting.process.pid).children():
            process.kill()
        await call.until(lambda: call.statuses[statuses:] == ["STARTING", "ACTIVE"])
        await person.types(call.id, "What is two plus two?")
        await call.until(lambda: len(call.finals("AGENT")) > 1)

        kept = await person.utterances(call.id)
        assert [(one["role"], one["text"]) for one in kept] == [
            ("AGENT", GREETING),
            ("USER", "What is two plus two?"),
            ("AGENT", "That's 4."),
        ]
