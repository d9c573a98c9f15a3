"""The page tells the truth about the microphone and typed lines, and loses nothing."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Route, expect

from tests.browser.conftest import Visit
from tests.browser.in_the_page import NO_ANSWER
from tests.browser.person import Person
from tests.browser.scripted import with_a_script
from tests.programs.server_process import ServerProcess
from tests.speech.sound import recording

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

STORED = '{ session(id: "%s") { utterances(first: 100) { nodes { text role } } } }'


async def types_without_waiting(person: Person, *lines: str) -> None:
    for line in lines:
        await person.field.fill(line)
        await person.field.press("Enter")
        await expect(waiting(person, line)).to_be_visible()


def waiting(person: Person, line: str) -> Locator:
    """A line on the page that is not sent yet."""
    return person.page.locator(".line[data-pending]").filter(has_text=line)


async def said_by_the_person(person: Person, session: str) -> list[str]:
    """Return the person's lines on the server, in order."""
    answer = await person.query(STORED % session)
    nodes = answer["session"]["utterances"]["nodes"]
    return [node["text"] for node in nodes if node["role"] == "USER"]


async def test_nobody_is_said_to_be_heard_while_the_browser_still_asks(
    answering: ServerProcess, visit: Visit
) -> None:
    """The status says what to do, even after a typed line was answered; no voice meter is shown."""
    person = await visit(answering.url)
    await person.page.add_init_script(NO_ANSWER)
    await person.comes_as_guest()
    await person.page.get_by_role("button", name="Start talking").click()

    await expect(person.state).to_have_text("Allow the microphone…")
    await expect(person.page.get_by_role("heading", name="Allow your microphone")).to_be_visible()
    await person.types("Hello")
    await expect(person.answers).to_have_text(["You typed: Hello"])

    await expect(person.state).to_have_text("Allow the microphone…")
    assert "Listening" not in await person.page.evaluate("states")
    await expect(person.page.locator(".voice, .own-voice")).to_have_count(0)
    assert await person.axe() == []


async def test_the_level_of_a_voice_is_shown_while_it_is_heard_and_not_while_muted(
    answering: ServerProcess, visit: Visit
) -> None:
    """The bars beside "Listening" follow the person's voice."""
    person = await visit(answering.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()
    await expect(person.state).to_have_text("Listening")
    middle = """() => new DOMMatrix(getComputedStyle(
        document.querySelector('.voice i:nth-child(3)')).transform).d"""

    await person.says(recording("0870"))

    await person.page.wait_for_function(f"() => ({middle})() > 0.4")
    await person.page.get_by_role("button", name="Mute").click()
    await expect(person.state).to_have_text("Muted")
    await expect(person.page.locator(".voice, .own-voice")).to_have_count(0)


async def test_lines_typed_offline_go_by_themselves_in_order_and_once(
    answering: ServerProcess, visit: Visit
) -> None:
    """Each line says what it waits for; one is removed, one is edited, and the rest are sent."""
    person = await visit(answering.url)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("before")

    await person.context.set_offline(True)
    await expect(person.state).to_have_text("Offline, reconnecting…")
    await types_without_waiting(person, "first", "second", "thrid", "fourth")
    await expect(waiting(person, "first")).to_contain_text("Sends when you're back online.")
    assert await person.axe() == []
    await waiting(person, "second").get_by_role("button", name="Remove").click()
    await expect(waiting(person, "second")).to_have_count(0)
    await expect(person.focused).to_have_count(1)
    await person.field.fill("more")
    await waiting(person, "thrid").get_by_role("button", name="Edit").click()
    await expect(waiting(person, "thrid")).to_have_count(0)
    await expect(person.field).to_have_value("thrid\nmore")
    await expect(person.field).to_be_focused()
    await types_without_waiting(person, "third")
    await person.context.set_offline(False)

    await expect(person.page.locator("[data-pending]")).to_have_count(0)
    await expect(person.finals).to_have_text(["before", "first", "fourth", "third"])
    await person.is_listened_to()
    assert await said_by_the_person(person, session) == ["before", "first", "fourth", "third"]
    assert person.asked.count("SendMessage") == 4


async def test_a_line_typed_before_the_agent_is_here_waits_for_it_over_a_reload(
    visit: Visit, tmp_path: Path
) -> None:
    """Two tabs hold the line, the second as a copy of the first; it is sent once."""
    async with with_a_script(tmp_path / "server", VOXQL_START_TIMEOUT_S="5") as (server, agent):
        person = await visit(server.url)
        await person.comes_as_guest()
        agent.comes = False
        await person.page.get_by_role("button", name="Start talking").click()
        await types_without_waiting(person, "Are you there?", "Never mind")
        line = waiting(person, "Are you there?")
        await expect(line).to_contain_text("Sends when the agent is here.")
        await expect(person.state).to_have_text("Agent unavailable")
        session = person.session_id

        await person.page.reload()
        await expect(line).to_contain_text("Sends when the agent is here.")
        kept = await person.page.evaluate("Object.entries(sessionStorage)")
        copied = await person.context.new_page()
        await copied.add_init_script(f"for (const [k, v] of {kept}) sessionStorage.setItem(k, v)")
        await copied.goto(person.page.url)
        copy = Person(person.url, copied, person.context)
        await expect(waiting(copy, "Are you there?")).to_be_visible()
        await waiting(person, "Never mind").get_by_role("button", name="Remove").click()
        await expect(waiting(copy, "Never mind")).to_have_count(0)

        agent.comes = True
        await copied.get_by_role("button", name="Try again").click()
        for each in (person, copy):
            await expect(each.page.locator("[data-pending]")).to_have_count(0)
            await expect(each.answers).to_have_text(["You typed: Are you there?"])
        assert await said_by_the_person(person, session) == ["Are you there?"]


async def test_an_end_that_was_done_though_its_answer_was_lost_is_no_question(
    answering: ServerProcess, visit: Visit
) -> None:
    """The stream reports the save, and nothing on the page contradicts it."""
    person = await visit(answering.url)
    await person.comes_as_guest()
    await person.starts_talking()
    await person.types("Kept")

    async def lost(route: Route) -> None:
        await route.fetch()
        await expect(person.page.locator(".row").get_by_text("Now")).to_have_count(0)
        await route.abort()

    async with person.answered(lost, operation="SaveSession"):
        await person.page.get_by_role("button", name="End", exact=True).click()
        await expect(person.state).to_have_text("Saved")

    await expect(person.page.get_by_role("alert")).to_have_count(0)
    await expect(person.page.get_by_text(re.compile("isn't saved|not be saved"))).to_have_count(0)
    assert person.asked.count("SaveSession") == 1
    await person.new_chat.click()
    await person.is_listened_to()
