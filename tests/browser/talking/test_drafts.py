"""A draft survives navigation, a reload and a new chat until it is sent."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, guest_signs_out
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

HALF = "half a line"


async def has_half_typed(person: Person) -> str:
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.field.fill(HALF)
    return session


async def test_a_draft_is_there_again_after_looking_elsewhere_and_a_reload(
    answering: ServerProcess, visit: Visit
) -> None:
    """The draft can be continued at its end; nothing of it returns once it is sent."""
    person = await visit(answering.url)
    page = person.page
    await has_half_typed(person)

    await page.get_by_role("link", name="Guest", exact=True).click()
    await page.get_by_role("link", name="Return").click()
    await expect(person.field).to_have_value(HALF)
    await page.reload()
    await person.is_listened_to()
    await expect(person.field).to_have_value(HALF)
    await person.field.focus()
    await page.keyboard.type(" and more")
    await page.keyboard.press("Enter")
    await expect(person.finals).to_have_text([f"{HALF} and more"])
    await expect(person.field).to_have_value("")
    await page.reload()
    await person.is_listened_to()

    await expect(person.field).to_have_value("")


async def test_a_draft_goes_along_to_the_next_conversation(
    answering: ServerProcess, visit: Visit
) -> None:
    """The draft survives New chat, and an end in another window while the person types."""
    person = await visit(answering.url)
    first = await has_half_typed(person)

    await person.new_chat.click()
    second = await person.is_listened_to(other_than=first)
    await expect(person.field).to_have_value(HALF)

    other = Person(person.url, await person.context.new_page(), person.context)
    await other.page.goto(f"{person.url}/c/{second}")
    await other.page.get_by_role("button", name="End", exact=True).click()
    await expect(person.field).to_have_count(0)
    await person.new_chat.click()
    await person.is_listened_to(other_than=second)
    await expect(person.field).to_have_value(HALF)


async def test_the_next_person_does_not_find_a_draft(
    answering: ServerProcess, visit: Visit
) -> None:
    """Signing out removes the draft from the page and from the browser's storage."""
    person = await visit(answering.url)
    page = person.page
    await has_half_typed(person)
    kept = "Object.values({...sessionStorage}).join()"
    assert HALF in await page.evaluate(kept)

    await page.get_by_role("link", name="Guest", exact=True).click()
    await guest_signs_out(page)
    await page.get_by_role("button", name="Continue as guest").click()
    await person.starts_talking()

    await expect(person.field).to_have_value("")
    assert HALF not in await page.evaluate(kept)
