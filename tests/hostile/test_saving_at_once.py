"""Two clients save a conversation repeatedly and at once while its agent speaks."""

import asyncio
from typing import Any

import pytest

from tests.faults.clients.account import BEGIN, DELETE, SAVE, Account, Refused
from tests.faults.clients.journal import Journal
from tests.hostile.conftest import Scene
from tests.storage.disk import rows

SPOKEN = "SELECT key, text FROM utterances WHERE session_id = ? ORDER BY sort_key"


def told(key: str, text: str) -> dict[str, Any]:
    return {"key": key, "role": "USER", "text": text, "timestamp": "2026-11-22T12:00:00Z"}


async def test_two_clients_save_at_the_same_moment_while_the_agent_speaks(scene: Scene) -> None:
    """Each message is stored once, the first version wins, and each final of the agent is kept."""
    on, session = scene.on, scene.job.session
    other = Account(on.server.url, Journal(), on.account.token, on.account.http)
    shared = [told(f"k{index}", f"message {index}") for index in range(50)]
    one = {"sessionId": session, "messages": [*shared, told("one", "of the first")]}
    two = {"sessionId": session, "messages": [*shared, told("two", "of the second")]}

    for number in range(50):
        scene.agent.say(f"sentence {number}")
    saved = await asyncio.gather(on.account.ask(SAVE, one), other.ask(SAVE, two))
    for number in range(50, 60):
        scene.agent.say(f"sentence {number}")
    await scene.agent.settled()

    assert sorted(each["createdCount"] for each in saved) == [1, 51]
    spoken = rows(on.server.database, SPOKEN, session)
    keys = [key for key, _ in spoken]
    assert len(keys) == len(set(keys)) == 61 + 52
    assert scene.agent.promised.items() <= dict(spoken).items()
    assert [key for key in keys if key.startswith("k")] == [f"k{index}" for index in range(50)]

    before = scene.stored()
    again = await asyncio.gather(on.account.ask(SAVE, one), other.ask(SAVE, two))
    assert [each["createdCount"] for each in again] == [0, 0]
    assert scene.stored() == before

    more = {"sessionId": session, "messages": [told("more", "and one more")]}
    assert (await on.account.ask(SAVE, more))["createdCount"] == 1
    assert len(rows(on.server.database, SPOKEN, session)) == 61 + 53


async def test_what_was_deleted_can_not_be_saved(scene: Scene) -> None:
    """Saving gives NOT_FOUND, the agent's utterances are refused, and nothing reappears."""
    on, session = scene.on, scene.job.session
    await on.account.ask(DELETE, {"sessionId": session})
    before = scene.stored()

    scene.agent.say("after the end")
    with pytest.raises(Refused) as refused:
        await on.account.ask(SAVE, {"sessionId": session, "messages": [told("k", "late")]})
    assert refused.value.code == "NOT_FOUND"
    await scene.agent.settled()

    assert scene.stored() == before
    assert rows(on.server.database, SPOKEN, session) == []
    # As the previous session of a new chat it is no error: it was meant to be gone.
    begun = await on.account.ask(BEGIN, {"previous": {"sessionId": session, "messages": []}})
    assert begun["saved"] is None
