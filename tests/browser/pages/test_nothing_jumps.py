"""The text on the page stays in place beside notices; an enlarged page leaves it room."""

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, broken
from tests.browser.scripted import with_a_script

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

ENLARGED: Final = {"width": 320, "height": 256}
"""A window of 1280 by 1024 pixels at 400 %."""
PLACES: Final = """() => [...document.querySelectorAll('.head, .line, .dock')].map(
  element => Math.round(element.getBoundingClientRect().top)
)"""


async def is_where_it_was(person: Person, places: list[int], told: Locator) -> None:
    """Wait until this is visible, and check that the text has not moved."""
    await expect(told).to_be_visible()
    await person.page.wait_for_function(
        f"before => String(({PLACES})()) === String(before)", arg=places
    )


async def test_nothing_moves_when_something_is_told_or_it_ends(
    visit: Visit, tmp_path: Path
) -> None:
    """Going offline and back, a persistent note, and an end in another window move nothing."""
    async with with_a_script(tmp_path / "server") as (server, agent):
        person = await visit(server.url)
        page = person.page
        await person.comes_as_guest()
        session = await person.starts_talking()
        agent.hears(session, "I was at the old house.")
        agent.hears(session, "It rained.")
        await person.types("A line that was typed")
        await expect(person.answers).to_have_count(1)
        await expect(page.locator(".turn")).to_have_count(3)
        await page.locator(".agent-volume").wait_for()
        places: list[int] = await page.evaluate(PLACES)
        assert len(places) == 6

        await page.context.set_offline(True)
        offline = page.get_by_text("You're offline.")
        await is_where_it_was(person, places, offline)
        await page.context.set_offline(False)
        await expect(offline).to_have_count(0)
        await expect(person.state).to_have_text("Listening")

        await page.get_by_role("button", name="Options for").click()
        await page.get_by_role("menuitem", name="Rename").click()
        async with person.answered(broken, operation="RenameSession"):
            await page.get_by_label("Title").fill("Another title")
            await page.keyboard.press("Enter")
            note = page.locator(".toast").filter(has_text="Couldn't rename this.")
            await is_where_it_was(person, places, note)

        ended = f'mutation {{ saveSession(input: {{sessionId: "{session}"}}) {{ isSaved }} }}'
        assert (await person.query(ended))["saveSession"]["isSaved"]
        over = page.get_by_text("This conversation has ended")
        await is_where_it_was(person, places, over)


async def test_half_of_an_enlarged_page_is_for_the_words(visit: Visit, tmp_path: Path) -> None:
    """At 400 %, head and dock shrink, and every control stays usable."""
    async with with_a_script(tmp_path / "server") as (server, agent):
        person = await visit(server.url, viewport=ENLARGED)
        await person.comes_as_guest()
        session = await person.starts_talking()
        agent.hears(session, "Words to be read at four times their size.")
        await person.types("A line that was typed")
        await person.page.locator(".agent-volume").wait_for()

        words = await person.page.locator(".scroll").bounding_box()
        assert words is not None
        assert words["height"] >= ENLARGED["height"] / 2
        assert await person.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        ) == [ENLARGED["width"], ENLARGED["height"]]
        for name in ("End", "New chat", "Mute", "Agent's voice", "Send"):
            button = person.page.get_by_role("button", name=name, exact=True)
            await expect(button).to_be_in_viewport(ratio=1)
        assert await person.axe() == []
