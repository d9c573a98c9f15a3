"""Lazily loaded parts of the page: a failed load breaks nothing else."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, blocked
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

PIECES = "**/assets/*.js"
FAULT = """() => Object.defineProperty(Intl.DateTimeFormat.prototype, 'format', {
  get() { throw new Error('a fault') },
})"""


async def comes_without_pieces(person: Person) -> None:
    """Enter while no lazy part can be fetched; the page fetches them after its first render."""
    await person.page.goto(person.url)
    await person.page.get_by_role("button", name="Continue as guest").wait_for()
    await person.page.route(PIECES, blocked)
    await person.page.get_by_role("button", name="Continue as guest").click()
    await person.page.get_by_role("button", name="Start talking").wait_for()


async def test_what_cannot_be_fetched_comes_later(answering: ServerProcess, visit: Visit) -> None:
    """A conversation works without menus and notes; they load once the server delivers them."""
    person = await visit(answering.url, has_microphone=False)
    await comes_without_pieces(person)
    await person.starts_talking()
    await person.types("before")
    await expect(person.rows).to_have_count(1)
    menu = person.page.get_by_role("button", name="Options for")
    await menu.click()
    await expect(menu).to_have_attribute("aria-expanded", "true")
    await expect(person.page.get_by_role("menuitem")).to_have_count(0)

    await person.page.unroute(PIECES, blocked)

    await expect(person.page.get_by_role("menuitem")).to_have_count(2)
    await person.page.keyboard.press("Escape")
    await person.types("after")


async def test_a_page_that_cannot_be_fetched_says_so(
    answering: ServerProcess, visit: Visit
) -> None:
    """The page appears by itself once the server delivers it."""
    person = await visit(answering.url, has_microphone=False)
    await comes_without_pieces(person)

    await person.page.get_by_role("link", name="Guest", exact=True).click()

    await expect(person.page.get_by_text("Couldn't load this page")).to_be_visible()
    await person.page.unroute(PIECES, blocked)
    await expect(person.page.get_by_role("heading", name="Microphone")).to_be_visible()


async def test_a_fault_of_the_page_is_not_a_blank_page(
    answering: ServerProcess, visit: Visit
) -> None:
    """An error page says what to do; a reload restores everything."""
    person = await visit(answering.url, has_microphone=False)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("kept")
    await person.field.fill("too much")
    async with person.page.expect_console_message(lambda message: "a fault" in message.text):
        await person.page.evaluate(FAULT)
        await person.page.keyboard.press("Enter")

    await expect(person.page.get_by_role("alert")).to_contain_text("Something went wrong")
    await person.page.get_by_role("button", name="Reload page").click()

    assert await person.is_listened_to() == session
    await expect(person.finals.filter(has_text="kept")).to_have_count(1)
    # Errors from before the reload are expected; nothing is logged after it.
    person.problems[:] = [problem for problem in person.problems if "a fault" not in problem]
