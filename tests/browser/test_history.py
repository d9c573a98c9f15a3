"""The list of conversations, and the pages that show one of it: what happens to one is seen."""

import json

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(180)

HISTORY = "query History("


async def has_typed(person: Person, line: str) -> str:
    session = await person.starts_talking()
    await person.types(line)
    await person.page.get_by_role("button", name="End", exact=True).click()
    await person.page.get_by_role("button", name="Start talking").wait_for()
    return session


async def another_page(person: Person) -> Person:
    return Person(person.url, await person.context.new_page(), person.context)


async def chooses(page: Page, way: str) -> None:
    await page.locator(".row").first.hover()
    await page.get_by_role("button", name="More about").first.click()
    await page.get_by_role("menuitem", name=way).click()


async def deletes(page: Page) -> None:
    await chooses(page, "Delete")
    await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


async def test_a_conversation_that_is_shown_is_renamed_and_deleted_on_the_page_too(
    speaking: ServerProcess, visit: Visit
) -> None:
    """In the window in which that is done, and in another one that shows the same."""
    person = await visit(speaking.url)
    page = person.page
    await person.comes_as_guest()
    session = await has_typed(person, "said once")
    await person.rows.first.click()
    await expect(person.finals).to_have_text(["said once"])
    other = await another_page(person)
    await other.reads(session)

    await chooses(page, "Rename")
    await page.keyboard.type("Another name")
    await page.keyboard.press("Enter")
    for shown in (page, other.page):
        await expect(heading(shown)).to_have_text("Another name")
        await expect(shown).to_have_title("Another name · VoxQL")

    await deletes(page)
    await expect(page.get_by_role("button", name="Start talking")).to_be_visible()
    await expect(page).to_have_url(f"{person.url}/")
    await expect(person.lines).to_have_count(0)
    await expect(heading(other.page)).to_have_text("Not found")
    await expect(other.lines).to_have_count(0)


async def test_who_deletes_what_goes_on_can_begin_anew(
    speaking: ServerProcess, visit: Visit
) -> None:
    """The page of the conversation gives way to the first one, from which the next begins."""
    person = await visit(speaking.url)
    await person.comes_as_guest()
    first = await person.starts_talking()
    await person.types("said once")

    await deletes(person.page)
    await expect(heading(person.page)).to_have_text("New Conversation")
    await expect(person.page).to_have_url(f"{person.url}/")
    await person.page.get_by_role("button", name="Start talking").click()

    await person.is_listened_to(other_than=first)


async def test_a_window_notices_that_somebody_has_signed_out_in_another(
    speaking: ServerProcess, visit: Visit
) -> None:
    """It shows nothing any more of what was said, and how to sign in."""
    person = await visit(speaking.url)
    await person.comes_as_guest()
    session = await has_typed(person, "said once")
    other = await another_page(person)
    await other.reads(session)

    await person.page.goto(f"{person.url}/settings")
    await person.page.get_by_role("button", name="Sign out").click()

    await expect(other.page.get_by_role("button", name="Continue as a guest")).to_be_visible()
    await expect(other.page.get_by_text("said once")).to_have_count(0)


async def test_a_list_that_can_not_be_had_says_so(speaking: ServerProcess, visit: Visit) -> None:
    """Below what it has, or in place of the results of another search; Retry gets it."""
    person = await visit(speaking.url)
    page = person.page
    await person.comes_as_guest()
    await has_typed(person, "said once")

    async def with_more(route: Route) -> None:
        """Claim that there is more, and fail when that is asked for."""
        asked = json.loads(route.request.post_data or "{}")
        if HISTORY not in asked.get("query", ""):
            await route.continue_()
        elif asked["variables"]["after"] is not None or asked["variables"]["filter"]:
            await route.fulfill(status=500, body="oh")
        else:
            answer = await route.fetch()
            body = await answer.json()
            body["data"]["sessionHistory"]["pageInfo"]["hasNextPage"] = True
            await route.fulfill(response=answer, json=body)

    await page.route("**/graphql", with_more)
    await page.goto(person.url)
    failed = page.get_by_role("navigation", name="History").get_by_role("alert")
    await expect(failed).to_contain_text("Something went wrong on the server.")
    await expect(person.rows).to_have_count(1)
    await page.get_by_label("Search what was said").fill("something else")
    await expect(person.rows).to_have_count(0)
    await expect(failed).to_contain_text("Something went wrong on the server.")
    await page.get_by_label("Search what was said").fill("")
    await expect(person.rows).to_have_count(1)
    await expect(failed).to_be_visible()

    await page.unroute("**/graphql", with_more)
    await failed.get_by_role("button", name="Retry").click()
    await expect(failed).to_have_count(0)
    await expect(person.rows).to_have_count(1)
    await expect(person.focused).to_have_count(1)
