"""The page when LiveKit or its workers are late, die and come back."""

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Locator, expect

from tests.attach.programs import AgentProgram
from tests.browser.conftest import Visit, agent_of, server_of
from tests.browser.person import Person
from tests.browser.rooms.test_livekit_faults import is_listened_to_again, room_of
from tests.conftest import StartLiveKit
from tests.e2e.conversation.saying import SENTENCE
from tests.programs.livekit_server import LiveKitServer
from tests.speech.sound import Clip, recording, spoken
from tests.speech.words import places, starts_with

pytestmark = [pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="session")]

DASHWOOD, YOUNG_MAN, SELFISH, AMIABLE = map(recording, ("0870", "0880", "0890", "0930"))
IN_TIME_MS: Final = 90_000
AGAIN_AFTER_MS: Final = 12_000
MOST_TRIES: Final = 3
PATIENT: Final = {
    "VOXQL_START_TIMEOUT_S": "10",
    "VOXQL_RETRY_S": "600",
    "VOXQL_ABANDON_S": "600",
}
"""A job has to begin within the first timeout on a busy machine; the test waits it out twice, while
there is no agent."""


@dataclass
class Outage:
    """A person at a browser, and the processes that a test kills and starts."""

    person: Person
    livekit: LiveKitServer
    agents: ExitStack
    said: dict[str, int] = field(default_factory=dict)
    """The number of final lines of each sentence, usually one."""

    async def another_agent(self) -> AgentProgram:
        """Start an agent, and wait until it is registered."""
        agent = await asyncio.to_thread(agent_of, self.livekit)
        self.agents.callback(agent.kill)
        return agent

    @property
    def no_agent(self) -> Locator:
        return self.person.page.get_by_role("alert").filter(has_text="The agent couldn't join.")

    async def is_heard(self, clip: Clip) -> None:
        """Speak until the sentence is recognized: a room on a loaded machine may lose sound."""
        await expect(self.person.state).to_have_text("Listening", timeout=IN_TIME_MS)
        for _ in range(MOST_TRIES):
            await self.person.has_said(clip)
            with suppress(AssertionError):
                await self.person.hears_himself_say(clip.text, within_ms=AGAIN_AFTER_MS)
                break
        finals = await self.person.finals.all_text_contents()
        self.said[clip.text] = len(places(clip.text, finals))
        assert self.said[clip.text], f"nobody understood {clip.text!r}"

    async def still_has(self, *clips: Clip) -> None:
        """Check that earlier final lines are not lost and not duplicated."""
        for clip in clips:
            await self.person.hears_himself_say(clip.text, self.said[clip.text])


async def test_agents_and_livekit_come_late_die_and_come_back(
    start_livekit: StartLiveKit, visit: Visit, tmp_path: Path
) -> None:
    """Each time the page reports the fault, loses nothing, and resumes the same conversation.

    As in production, only VoxQL creates rooms: the page has to wait for a new one.
    """
    livekit = start_livekit(room={"auto_create": False})
    server = server_of(livekit, tmp_path / "server", **PATIENT)
    try:
        with ExitStack() as agents:
            person = await visit(server.url, speaks_on_demand=True)
            outage = Outage(person, livekit, agents)
            first = await without_a_worker_the_one_that_comes_late_takes_over(outage)
            second = await one_that_is_killed_in_mid_sentence_is_replaced(outage, first)
            await livekit_is_restarted(outage)
            await livekit_down_at_new_chat_saves_what_was_said(outage, second)
    finally:
        server.stop()


async def without_a_worker_the_one_that_comes_late_takes_over(outage: Outage) -> AgentProgram:
    """Start without a worker: the page says what is wrong; a late worker takes the job."""
    person = outage.person
    await person.comes_as_guest()
    await person.page.get_by_role("button", name="Start talking").click()
    await person.sees("Waiting for the agent…")

    alert = outage.no_agent
    await expect(alert).to_contain_text("It took too long.", timeout=IN_TIME_MS)
    await expect(person.page.locator(".notice")).to_have_count(1)
    await expect(person.state).to_have_text("Agent unavailable")
    await expect(person.page.get_by_role("heading", name="No agent yet")).to_be_visible()
    await expect(person.field).to_be_editable()
    session = person.session_id

    await expect(alert.get_by_role("button", name="Try again")).to_be_visible()
    agent = await outage.another_agent()
    assert await person.is_listened_to() == session
    await expect(alert).to_have_count(0)
    await outage.is_heard(YOUNG_MAN)
    await expect(person.answers).to_have_count(1)
    return agent


async def one_that_is_killed_in_mid_sentence_is_replaced(
    outage: Outage, first: AgentProgram
) -> AgentProgram:
    """Kill the agent: its interim is marked unfinished; another agent hears the next sentence."""
    person, session = outage.person, outage.person.session_id
    await expect(person.state).to_have_text("Listening")
    second = await outage.another_agent()
    sentence = asyncio.create_task(person.has_said(spoken("long sentence", SENTENCE)))
    key = await person.is_saying("the old train left the station")
    line = person.line(key)
    await person.page.evaluate("states.length = 0")
    await asyncio.to_thread(first.kill)

    await person.sees("Waiting for the agent…")
    await expect(line.get_by_text("unfinished")).to_be_visible()
    await expect(line).to_have_attribute("data-final", "false")
    assert starts_with(await line.locator(".line-text").inner_text(), "the old train")
    await sentence  # a new agent may hear its end
    await outage.is_heard(DASHWOOD)

    await outage.still_has(YOUNG_MAN)
    await expect(line.get_by_text("unfinished")).to_be_visible()
    await expect(outage.no_agent).to_have_count(0)
    assert person.session_id == session
    await person.sees_what_is_stored(session)
    return second


async def livekit_is_restarted(outage: Outage) -> None:
    """Restart LiveKit: the page says that it reconnects, and resumes the same conversation."""
    person, session = outage.person, outage.person.session_id
    room = await room_of(outage.livekit, session)
    await asyncio.to_thread(outage.livekit.kill)
    await expect(person.state).to_have_text("Reconnecting…", timeout=IN_TIME_MS)
    await asyncio.to_thread(outage.livekit.start)

    await is_listened_to_again(outage.livekit, room, person)
    await outage.is_heard(SELFISH)
    await outage.still_has(YOUNG_MAN, DASHWOOD)
    assert person.session_id == session


async def livekit_down_at_new_chat_saves_what_was_said(outage: Outage, agent: AgentProgram) -> None:
    """Start a new chat without LiveKit: it has no agent, and the previous one is in the history."""
    person, first = outage.person, outage.person.session_id
    await asyncio.to_thread(outage.livekit.kill)
    await person.new_chat.click()
    alert = outage.no_agent
    await expect(alert).to_be_visible(timeout=IN_TIME_MS)
    await expect(person.rows).to_have_count(1)

    before = len(agent.lines)
    await asyncio.to_thread(outage.livekit.start)
    await asyncio.to_thread(agent.wait_for, "registered at LiveKit", after=before)
    await alert.get_by_role("button", name="Try again").click()
    await person.is_listened_to(other_than=first)
    await outage.is_heard(DASHWOOD)
    await person.reads(first)
    await outage.still_has(YOUNG_MAN)
