"""The list of conversations and the pages that show one: both follow every change."""

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, guest_signs_out, variables
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

NOW = "2026-11-01T12:00:00Z"


async def has_typed(person: Person, line: str) -> str:
    session = await person.starts_talking()
    await person.types(line)
    await person.page.get_by_role("button", name="End", exact=True).click()
    await person.page.get_by_role("button", name="Start talking").wait_for()
    return session


async def has_had(person: Person, conversations: int) -> None:
    """Save this many conversations over the API; the only line of each is its number."""
    previous = ""
    for number in range(conversations + 1):
        begun = await person.query(
            f"mutation {{ startNewChat(input: {{{previous}}}) {{ session {{ id }} }} }}"
        )
        line = f'{{key: "a", role: USER, text: "Number {number}", timestamp: "{NOW}"}}'
        session = begun["startNewChat"]["session"]["id"]
        previous = f'previous: {{sessionId: "{session}", messages: [{line}]}}'


async def another_page(person: Person) -> Person:
    return Person(person.url, await person.context.new_page(), person.context)


async def chooses(page: Page, way: str) -> None:
    await page.locator(".row").first.hover()
    await page.get_by_role("button", name="Options for").first.click()
    await page.get_by_role("menuitem", name=way).click()


async def deletes(page: Page) -> None:
    """Delete without undo: dismissing the offer ends the undo period."""
    await chooses(page, "Delete")
    note = page.locator(".toast").filter(has_text="deleted")
    await note.get_by_role("button", name="Dismiss").click()


async def deletes_what_goes_on(page: Page) -> None:
    await chooses(page, "Delete")
    await page.get_by_role("dialog").get_by_role("button", name="Delete conversation").click()


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


async def test_a_conversation_that_is_shown_is_renamed_and_deleted_on_the_page_too(
    answering: ServerProcess, visit: Visit
) -> None:
    """The change shows in the window that made it, and in another that shows the conversation."""
    person = await visit(answering.url)
    page = person.page
    await person.comes_as_guest()
    session = await has_typed(person, "said once")
    await person.rows.first.click()
    await expect(person.finals).to_have_text(["said once"])
    other = await another_page(person)
    await other.reads(session)

    await chooses(page, "Rename")
    await expect(page.get_by_label("Title")).to_be_focused()
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


async def test_a_name_that_is_being_typed_stays_while_the_list_changes(
    answering: ServerProcess, visit: Visit
) -> None:
    """A rename elsewhere changes the list and loses none of the typed letters."""
    person = await visit(answering.url)
    await person.comes_as_guest()
    other = await has_typed(person, "said first")
    await has_typed(person, "said next")
    await expect(person.rows).to_have_count(2)

    await chooses(person.page, "Rename")
    await expect(person.page.get_by_label("Title")).to_be_focused()
    await person.page.keyboard.type("A new ")
    await person.query(
        f'mutation {{ renameSession(input: {{sessionId: "{other}", title: "Elsewhere"}})'
        " { session { id } } }"
    )
    await expect(person.rows.filter(has_text="Elsewhere")).to_have_count(1)
    await person.page.keyboard.type("name")
    await person.page.keyboard.press("Enter")

    await expect(person.rows.first).to_contain_text("A new name")


async def test_who_deletes_what_goes_on_can_begin_anew(
    answering: ServerProcess, visit: Visit
) -> None:
    """The conversation's page gives way to the start page, where the next one begins."""
    person = await visit(answering.url)
    await person.comes_as_guest()
    first = await person.starts_talking()
    await person.types("said once")

    await deletes_what_goes_on(person.page)
    await expect(heading(person.page)).to_have_text("New conversation")
    await expect(person.page).to_have_url(f"{person.url}/")
    await person.page.get_by_role("button", name="Start talking").click()

    await person.is_listened_to(other_than=first)


async def test_a_window_notices_that_somebody_has_signed_out_in_another(
    answering: ServerProcess, visit: Visit
) -> None:
    """The other window hides the conversation and offers to sign in."""
    person = await visit(answering.url)
    await person.comes_as_guest()
    session = await has_typed(person, "said once")
    other = await another_page(person)
    await other.reads(session)

    await person.page.goto(f"{person.url}/settings")
    await guest_signs_out(person.page)

    await expect(other.page.get_by_role("button", name="Continue as guest")).to_be_visible()
    await expect(other.page.get_by_text("said once")).to_have_count(0)


async def test_a_list_that_can_not_be_had_says_so(answering: ServerProcess, visit: Visit) -> None:
    """The error is shown below the loaded rows or in place of search results; Retry loads them."""
    person = await visit(answering.url)
    page = person.page
    await person.comes_as_guest()
    await has_typed(person, "said once")

    async def with_more(route: Route) -> None:
        """Claim that there is another page, and fail when it is requested."""
        asked = variables(route)
        if asked["after"] is not None or asked["filter"]:
            await route.fulfill(status=500, body="oh")
        else:
            answer = await route.fetch()
            body = await answer.json()
            body["data"]["sessionHistory"]["pageInfo"]["hasNextPage"] = True
            await route.fulfill(response=answer, json=body)

    failed = page.get_by_role("navigation", name="History").get_by_role("alert")
    async with person.answered(with_more, operation="History"):
        await page.goto(person.url)
        await expect(failed).to_contain_text("Something went wrong on the server.")
        await expect(person.rows).to_have_count(1)
        await page.get_by_label("Search conversations").fill("something else")
        await expect(person.rows).to_have_count(0)
        await expect(failed).to_contain_text("Something went wrong on the server.")
        await page.get_by_label("Search conversations").fill("")
        await expect(person.rows).to_have_count(1)
        await expect(failed).to_be_visible()

    await failed.get_by_role("button", name="Try again").click()
    await expect(failed).to_have_count(0)
    await expect(person.rows).to_have_count(1)
    await expect(person.focused).to_have_count(1)


async def test_the_list_goes_on_as_far_as_one_scrolls(server: ServerProcess, visit: Visit) -> None:
    """The list loads more when its end comes into view: each conversation once, newest first."""
    person = await visit(server.url, has_microphone=False)
    await person.comes_as_guest()
    await has_had(person, 65)
    shown = person.page.locator(".row-title")
    newest_first = [f"Number {number}" for number in reversed(range(65))]

    await person.page.goto(person.url)
    await expect(shown).to_have_text(newest_first[:30])
    await expect(shown.last).not_to_be_in_viewport()
    await person.page.locator(".list").hover()
    await person.page.mouse.wheel(0, 100_000)
    await expect(shown).to_have_text(newest_first[:60])
    await person.page.mouse.wheel(0, 100_000)
    await expect(shown).to_have_text(newest_first)

    await person.page.mouse.wheel(0, 100_000)
    await expect(shown.last).to_be_in_viewport()
    links = await person.rows.evaluate_all("rows => rows.map(row => row.href)")
    assert len(set(links)) == 65
