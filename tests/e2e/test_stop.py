"""A server with its agent is told to stop in the middle of somebody's sentence."""

import asyncio
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from tests.e2e.call import Call
from tests.e2e.conftest import StartSpeaking
from tests.e2e.person import Person
from tests.e2e.sound import spoken
from tests.storage.disk import rows

SENTENCE = (
    "the old train left the station early in the morning and went slowly along the river to the "
    "mountain village where my brother lives with his children and a very large brown dog"
)
SPOKEN = "SELECT role, text, is_final FROM utterances ORDER BY position"
STATE = "SELECT status, end_reason, agent_back_by IS NOT NULL FROM sessions"


async def test_the_agent_hands_in_its_last_words_while_the_bridge_is_open(
    start_speaking: StartSpeaking,
) -> None:
    """Half a sentence is stored as a final, people see it, and the conversation may go on."""
    server = await asyncio.to_thread(start_speaking, VOXQL_AGENT_PLACES="1")
    sentence = spoken("long sentence", SENTENCE)
    async with Person(server.url) as person:
        call = await person.talk()
        await Call.__aenter__(call)
        call.say(sentence)
        await call.until(lambda: call.is_heard_to_say("the old train"))

        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        with suppress(ConnectionClosed):  # the media end first
            await call.until(lambda: call.end)
        assert await stopping == 0
        await asyncio.wait(call._tasks)  # the server is gone, and with it both streams
        assert call.end == {"reason": "SERVER_SHUTDOWN", "mayResume": True}
        await call.hang_up()

    [(role, text, is_final)] = rows(server.data_dir / "voxql.db", SPOKEN)
    assert (role, is_final) == ("USER", 1)
    assert text.lower().startswith("the old train")
    assert [seen.text for seen in call.finals("USER")] == [text]
    assert rows(server.data_dir / "voxql.db", STATE) == [("ACTIVE", None, 1)]
