"""What somebody at a real browser sees of LiveKit's workers: none, one too late, one that dies."""

import asyncio
import re
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Visit, agent_of, server_of
from tests.browser.person import Person
from tests.conftest import StartLiveKit
from tests.e2e.sound import recording, spoken
from tests.server_process import START_TIMEOUT_S

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

DASHWOOD, YOUNG_MAN = map(recording, ("0870", "0880"))
SENTENCE = (
    "the old train left the station early in the morning and went slowly along the river to the "
    "mountain village where my brother lives with his children and a very large brown dog"
)
IN_TIME_MS: Final = 90_000
PATIENT: Final = {
    "VOXQL_START_TIMEOUT_S": START_TIMEOUT_S,
    "VOXQL_RETRY_S": "600",
    "VOXQL_ABANDON_S": "600",
}
"""How long a worker takes to load is not what these tests are about."""


def no_agent(person: Person) -> Locator:
    return person.page.get_by_role("alert").filter(has_text="The agent is not available.")


async def test_without_a_worker_the_page_says_so_and_retry_brings_the_one_that_comes_late(
    start_livekit: StartLiveKit, visit: Visit, tmp_path: Path
) -> None:
    """Nobody comes in time: what is wrong, and what to do; once a worker is there, Retry works."""
    livekit = start_livekit()
    server = server_of(livekit, tmp_path / "server", **PATIENT)
    try:
        person = await visit(server.url, speaks_on_demand=True)
        await person.comes_as_guest()
        await person.page.get_by_role("button", name="Start talking").click()
        await person.sees("Waiting for the agent…")

        alert = no_agent(person)
        await expect(alert).to_contain_text("It did not come in time.", timeout=IN_TIME_MS)
        await expect(person.page.locator(".notice")).to_have_count(1)
        await expect(person.state).to_have_text("Agent not available")
        await expect(person.page.get_by_role("heading", name="No agent yet")).to_be_visible()
        await expect(person.field).not_to_be_editable()
        session = person.session_id

        with await asyncio.to_thread(agent_of, livekit):
            await alert.get_by_role("button", name="Retry").click()
            assert await person.is_listened_to() == session
            await expect(alert).to_have_count(0)
            await person.says(YOUNG_MAN)
            await person.hears_himself_say("young man")
    finally:
        server.stop()


async def test_a_worker_that_is_killed_in_mid_sentence_is_replaced(
    start_livekit: StartLiveKit, visit: Visit, tmp_path: Path
) -> None:
    """Half a sentence stays and says that it is unfinished; the next one is heard, by another."""
    livekit = start_livekit()
    server = server_of(livekit, tmp_path / "server", **PATIENT)
    try:
        with agent_of(livekit) as first:
            person = await visit(server.url, speaks_on_demand=True)
            await person.comes_as_guest()
            session = await person.starts_talking()
            await person.says(YOUNG_MAN)
            await person.hears_himself_say("young man")
            await expect(person.answers).to_have_count(1)
            await expect(person.state).to_have_text("Listening")

            with await asyncio.to_thread(agent_of, livekit):
                sentence = asyncio.create_task(person.has_said(spoken("long sentence", SENTENCE)))
                key = await person.is_saying("train")
                line = person.page.locator(f'.line[data-key="{key}"]')
                await person.page.evaluate("states.length = 0")
                await asyncio.to_thread(first.kill)

                await person.sees("Waiting for the agent…")
                await expect(line.get_by_text("unfinished")).to_be_visible()
                await expect(line).to_have_attribute("data-final", "false")
                await expect(line.locator(".line-text")).to_have_text(re.compile("train", re.I))
                await sentence  # whoever comes meanwhile may hear its end
                await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
                await person.says(DASHWOOD)
                await person.hears_himself_say("Dashwood")

                await expect(person.finals.filter(has_text="young man")).to_have_count(1)
                await expect(line.get_by_text("unfinished")).to_be_visible()
                await expect(no_agent(person)).to_have_count(0)
                assert person.session_id == session
                await person.sees_what_is_stored(session)
    finally:
        server.stop()
