"""Everybody can use the page: by eye or ear, with the keyboard alone, in both themes."""

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, broken
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

SMALLEST_TARGET = 44
# A checkbox can also be hit on its label, and a link within a sentence is as high as its line (WCAG
# 2.5.5 excepts both).
SMALL_TARGETS = """
smallest => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, [role=menuitem]'
  )]
  .filter(element => element.checkVisibility() && !element.closest('.veil, [inert]'))
  .filter(element => getComputedStyle(element).display !== 'inline'
    || element.textContent.trim() === element.parentElement.textContent.trim())
  .map(element => [
    element.outerHTML.slice(0, 90), (element.closest('label') ?? element).getBoundingClientRect()
  ])
  .filter(([_, box]) => box.width > 0 && Math.min(box.width, box.height) < smallest - 0.1)
  .map(([html]) => html)
"""
WIDER_THAN_THE_WINDOW = "document.documentElement.scrollWidth > innerWidth"


OF_COLOUR = ("color-contrast", "link-in-text-block")
"""The enabled axe-core rules that depend on colours."""

everywhere = pytest.mark.parametrize("width", [1280, 360])


async def is_fine(person: Person) -> None:
    """Check the page in both themes, which differ in colours only."""
    await person.page.emulate_media(color_scheme="light")
    assert await person.axe() == [], person.page.url
    await person.page.emulate_media(color_scheme="dark")
    assert await person.axe(*OF_COLOUR) == [], (person.page.url, "in the dark")
    small = await person.page.evaluate(SMALL_TARGETS, SMALLEST_TARGET)
    assert small == [], person.page.url
    assert not await person.page.evaluate(WIDER_THAN_THE_WINDOW), person.page.url


@everywhere
async def test_no_page_keeps_anybody_out(
    answering: ServerProcess, visit: Visit, width: int
) -> None:
    """axe-core finds no violation on any page; targets have 44 px; nothing is cut off."""
    person = await visit(answering.url, viewport={"width": width, "height": 800})
    page = person.page
    await page.goto(person.url)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_label("E-mail").wait_for()
    await is_fine(person)
    await page.get_by_role("button", name="Continue as guest").click()
    await page.get_by_role("button", name="Start talking").wait_for()
    await is_fine(person)
    session = await person.starts_talking()
    await person.types("How much is 12 times 12?")
    await expect(person.answers).to_have_count(1)
    await is_fine(person)
    await page.keyboard.press("Control+k")
    await page.get_by_role("button", name="Options for").first.click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    await is_fine(person)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.goto(f"{person.url}/settings")
    await page.get_by_text("Programs use a token").wait_for()
    await page.get_by_role("region", name="Your conversation").wait_for()
    await is_fine(person)
    await page.keyboard.press("Control+/")
    await page.get_by_role("dialog").wait_for()
    await is_fine(person)
    await page.goto(f"{person.url}/c/{session}")
    await person.is_listened_to()
    await page.get_by_role("button", name="End", exact=True).click()
    await page.get_by_role("button", name="Start talking").wait_for()
    await person.reads(session)
    await is_fine(person)
    await page.goto(f"{person.url}/no/such/page")
    await page.get_by_text("This page doesn't exist").wait_for()
    await is_fine(person)


async def of_somebody_else(url: str) -> str:
    """Return the id of a conversation of another guest."""
    async with httpx.AsyncClient(base_url=url, headers={"Origin": url}) as other:

        async def ask(query: str, **variables: object) -> dict[str, dict[str, dict[str, str]]]:
            answer = await other.post("/graphql", json={"query": query, "variables": variables})
            found: dict[str, dict[str, dict[str, str]]] = answer.raise_for_status().json()["data"]
            return found

        await ask("mutation { signInAsGuest { viewer { id } } }")
        begun = await ask("mutation { startNewChat { session { id } } }")
        session = begun["startNewChat"]["session"]["id"]
        said = {"key": "a", "role": "USER", "text": "mine", "isFinal": True}
        said["timestamp"] = "2026-01-01T00:00:00Z"
        await ask(
            "mutation ($input: SaveSessionInput!) { saveSession(input: $input) { isSaved } }",
            input={"sessionId": session, "messages": [said]},
        )
        return session


@everywhere
async def test_no_trouble_keeps_anybody_out(
    answering: ServerProcess, visit: Visit, width: int
) -> None:
    """Errors, search results, toasts, and missing or foreign conversations are accessible, too."""
    person = await visit(answering.url, viewport={"width": width, "height": 800})
    page = person.page
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("A line to be found")
    async with person.answered(broken, operation="StartNewChat"):
        await person.new_chat.click()
        notice = page.get_by_role("alert").filter(has_text="Nothing is lost")
        await notice.wait_for()
    await is_fine(person)
    await notice.get_by_role("button", name="Try again").click()
    await person.is_listened_to(other_than=session)

    await page.keyboard.press("Control+k")
    await page.keyboard.type("found")
    await page.locator("mark").first.wait_for()
    await is_fine(person)

    await page.get_by_role("button", name="Options for").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await expect(page.get_by_label("Title")).to_be_focused()
    await is_fine(person)
    note = page.locator(".toast").filter(has_text="Couldn't rename this.")
    async with person.answered(broken, operation="RenameSession"):
        await page.get_by_label("Title").fill("Not to be")
        await page.keyboard.press("Enter")
        await expect(note).to_have_count(1)
    retry = note.get_by_role("button", name="Try again")
    await expect(retry).to_be_visible()
    await is_fine(person)
    # On a narrow page the history covers the rest; closing it must leave the toast.
    if width < 800:
        await page.keyboard.press("Escape")
        await expect(page.locator("#close-history")).to_have_count(0)
        await expect(retry).to_be_visible()
    await retry.click()
    if width < 800:
        await page.locator("#open-history").click()
    await expect(person.rows.filter(has_text="Not to be")).to_have_count(1)

    unknown = session[:-4] + ("aaaa" if not session.endswith("aaaa") else "bbbb")
    for address, title in (
        (await of_somebody_else(person.url), "No access"),
        (unknown, "Not found"),
    ):
        await page.goto(f"{person.url}/c/{address}")
        await page.get_by_role("heading", name=title, level=2).wait_for()
        await page.get_by_role("region", name="Your conversation").wait_for()
        await is_fine(person)


async def test_the_whole_way_can_be_gone_by_keys_alone(
    answering: ServerProcess, visit: Visit
) -> None:
    """Enter, start, type, New Chat, search, open, rename, return, end and delete need no mouse."""
    person = await visit(answering.url)
    page, keyboard = person.page, person.page.keyboard
    await page.goto(person.url)
    await page.get_by_role("button", name="Continue as guest").wait_for()

    async def tab_to(name: str) -> None:
        for _ in range(40):
            focused = await page.evaluate(
                "(document.activeElement.ariaLabel || document.activeElement.textContent).trim()"
            )
            if focused.startswith(name):
                return
            await keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {name!r}")

    await tab_to("Continue as guest")
    await keyboard.press("Enter")
    await page.get_by_role("button", name="Start talking").wait_for()
    await tab_to("Start talking")
    await keyboard.press("Enter")
    first = await person.is_listened_to()
    await tab_to("Type instead of speaking")
    await keyboard.type("Typed by keys alone")
    await keyboard.press("Enter")
    await expect(person.finals).to_have_text("Typed by keys alone")
    await keyboard.press("Control+Shift+O")
    await person.is_listened_to(other_than=first)

    await keyboard.press("Control+k")
    await keyboard.type("alone")
    await expect(page.locator("mark").first).to_have_text("alone")
    # The options button is loaded later, and is next in the tab order.
    await expect(page.get_by_role("button", name="Options for")).to_have_count(1)
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await page.wait_for_url(lambda url: f"/c/{first}?q=alone" in url)
    await expect(page.locator(".line[aria-current] mark")).to_have_text("alone")
    await page.get_by_text("End of the conversation").wait_for()
    await tab_to("Options for")
    await keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.get_by_label("Title")).to_be_focused()
    await keyboard.type("By keys")
    await keyboard.press("Enter")
    await expect(person.rows.first).to_contain_text("By keys")

    await keyboard.press("Control+/")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await tab_to("Return")
    await keyboard.press("Enter")
    await expect(person.field).to_be_editable()
    await tab_to("End")
    await keyboard.press("Enter")
    await page.get_by_role("button", name="Start talking").wait_for()
    await keyboard.press("Control+k")
    await tab_to("Options for By keys")
    await keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    await keyboard.press("Enter")
    await expect(person.rows).to_have_count(0)
    await keyboard.press("F8")
    await tab_to("Undo")
    await keyboard.press("Enter")
    await expect(person.rows).to_have_count(1)
