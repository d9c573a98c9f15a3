"""A person at a real browser whose network loses every packet for a while."""

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.browser.rooms.far import far
from tests.speech.sound import recording

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.own_network,
    pytest.mark.asyncio(loop_scope="session"),
]

YOUNG_MAN, AMIABLE, DASHWOOD = map(recording, ("0880", "0930", "0870"))
IN_TIME_MS: Final = 90_000
"""As in test_livekit_faults: LiveKit's own timeouts are 15 s and more."""


async def test_whose_connection_is_lost_for_a_while_goes_on_with_the_same_agent(
    visit: Visit, tmp_path: Path
) -> None:
    """The page reports the loss and recovers; words from before and after are there, once each."""
    async with far(tmp_path) as there:
        url = there.server.url
        person = await visit(url, speaks_on_demand=True, own_browser=True)
        await person.comes_as_guest()
        session = await person.starts_talking()
        await person.says(YOUNG_MAN)
        await person.hears_himself_say(YOUNG_MAN.text)
        await expect(person.answers).not_to_have_count(0)
        agents = await there.agents(session)
        before = await kept(person, session)
        await person.says(DASHWOOD)
        cut = await person.is_saying("and mister john dashwood had then")

        there.cable.lose()
        await expect(person.state).to_have_text("Reconnecting…", timeout=IN_TIME_MS)
        there.cable.carry()

        await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
        await person.says(AMIABLE)
        await person.hears_himself_say(AMIABLE.text)
        await person.hears_himself_say(YOUNG_MAN.text)
        # The interrupted sentence is answered, too, unless the next one came first.
        await expect(person.answers.nth(1)).to_be_visible(timeout=IN_TIME_MS)
        await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
        assert person.session_id == session
        assert await there.agents(session) == agents
        assert [attempt for attempt, _ in agents] == [1]

        after = await kept(person, session)
        assert all(is_final for _, _, is_final in after.values())
        assert before.items() <= after.items(), "a final that was shown is another"
        said = " ".join(text for role, text, _ in after.values() if role == "USER").lower()
        assert cut in after
        assert said.count("dashwood") <= 1, "the sentence that was cut off is there once"
        await person.sees_what_is_stored(session)


async def kept(person: Person, session: str) -> dict[str, tuple[str, str, bool]]:
    """Return the role, text and finality of each utterance, by key."""
    stored = await person.query(
        f"""{{ session(id: "{session}") {{ status utterances(first: 100) {{
          nodes {{ key role text isFinal }} }} }} }}"""
    )
    assert stored["session"]["status"] == "ACTIVE"
    nodes = stored["session"]["utterances"]["nodes"]
    return {node["key"]: (node["role"], node["text"], node["isFinal"]) for node in nodes}
