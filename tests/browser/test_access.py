"""Everybody can use the page: by eye or ear, by keys alone, in both themes."""

from typing import Literal

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.e2e.sound import recording
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(180)

SMALLEST_TARGET = 44
SMALL_TARGETS = """
() => [...document.querySelectorAll('button, select, textarea, [role=menuitem], .row-link')]
  .filter(element => element.checkVisibility() && !element.closest('.veil, [inert]'))
  .map(element => [element.outerHTML.slice(0, 90), element.getBoundingClientRect()])
  .filter(([_, box]) => box.width > 0 && Math.min(box.width, box.height) < 43.9)
  .map(([html]) => html)
"""
WIDER_THAN_THE_WINDOW = "document.documentElement.scrollWidth > innerWidth"


async def is_fine(person: Person) -> None:
    assert await person.axe() == [], person.page.url
    assert await person.page.evaluate(SMALL_TARGETS) == [], person.page.url
    assert not await person.page.evaluate(WIDER_THAN_THE_WINDOW), person.page.url


@pytest.mark.parametrize(
    ("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
)
async def test_no_page_keeps_anybody_out(
    speaking: ServerProcess, visit: Visit, theme: Literal["light", "dark"], width: int
) -> None:
    """axe-core finds nothing on any page; what is to be hit has 44 px; nothing is cut off."""
    person = await visit(
        speaking.url,
        speaks_on_demand=True,
        color_scheme=theme,
        reduced_motion="reduce",
        viewport={"width": width, "height": 800},
    )
    page = person.page
    await page.goto(person.url)
    await page.get_by_role("button", name="Create an account").click()
    await is_fine(person)
    await page.get_by_role("button", name="Continue as a guest").click()
    await page.get_by_role("button", name="Start talking").wait_for()
    await is_fine(person)
    session = await person.starts_talking()
    await person.says(recording("0880"))
    await person.hears_himself_say("young man")
    await is_fine(person)
    await page.keyboard.press("Control+k")
    await page.get_by_role("button", name="More about").first.click()
    await page.get_by_role("menuitem", name="Delete").click()
    await is_fine(person)
    await page.keyboard.press("Escape")
    await page.goto(f"{person.url}/settings")
    await page.get_by_text("A program that sends one").wait_for()
    await is_fine(person)
    await page.keyboard.press("Control+/")
    await is_fine(person)
    await page.goto(f"{person.url}/c/{session}")
    await person.is_listened_to()
    await page.get_by_role("button", name="End", exact=True).click()
    await page.get_by_role("button", name="Start talking").wait_for()
    await person.reads(session)
    await is_fine(person)
    await page.goto(f"{person.url}/no/such/page")
    await page.get_by_text("There is no such page").wait_for()
    await is_fine(person)


async def test_the_whole_way_can_be_gone_by_keys_alone(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Enter, start, type, New Chat, search, open, rename, return, end, delete: without a mouse."""
    person = await visit(speaking.url)
    page, keyboard = person.page, person.page.keyboard
    await page.goto(person.url)
    await page.get_by_role("button", name="Continue as a guest").wait_for()

    async def tab_to(name: str) -> None:
        for _ in range(40):
            focused = await page.evaluate(
                "(document.activeElement.ariaLabel || document.activeElement.textContent).trim()"
            )
            if focused.startswith(name):
                return
            await keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {name!r}")

    await tab_to("Continue as a guest")
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
    await expect(page.locator("mark")).to_have_text("alone")
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await page.wait_for_url(f"**/c/{first}")
    await page.get_by_text("End of the conversation").wait_for()
    await tab_to("More about")
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
    await tab_to("More about By keys")
    await keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    await keyboard.press("Enter")
    await page.get_by_role("dialog").wait_for()
    await tab_to("Delete")
    await keyboard.press("Enter")
    await expect(person.rows).to_have_count(0)


async def test_finals_are_read_out_once_and_interims_never(
    speaking: ServerProcess, visit: Visit
) -> None:
    """A log for screen readers gets each final as it comes, and nothing that may still change."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.page.evaluate(
        """() => new MutationObserver(() => {
             for (const p of document.querySelectorAll('[role=log] p'))
               (window.heard ??= new Set()).add(p.textContent)
           }).observe(document.body, {subtree: true, childList: true, characterData: true})"""
    )
    await person.starts_talking()
    await person.says(recording("0880"))
    await person.hears_himself_say("young man")
    final = await person.finals.first.text_content()

    log = person.page.get_by_role("log")
    await expect(log.get_by_text("You: ").first).to_have_text(f"You: {final}")
    await expect(log.get_by_text("Agent: ").first).to_be_attached()
    heard = await person.page.evaluate("[...window.heard]")
    assert len([text for text in heard if text.startswith("You: ")]) == 1


async def test_settings_make_a_token_once_and_take_it_back(
    speaking: ServerProcess, visit: Visit
) -> None:
    """The secret works, is shown this once, and is worth nothing after it was revoked."""
    person = await visit(speaking.url)
    page = person.page
    await person.comes_as_guest()
    await page.goto(f"{person.url}/settings")
    await page.get_by_label("New token for").fill("my program")
    await page.get_by_role("button", name="Create token").click()
    secret = await page.locator(".secret").text_content()
    asks = {
        "data": {"query": "{ viewer { isGuest } }"},
        "headers": {"Authorization": f"Bearer {secret}", "Cookie": ""},
    }
    answer = await person.context.request.post(f"{person.url}/graphql", **asks)  # type: ignore[arg-type] # a mapping of both arguments
    assert (await answer.json())["data"] == {"viewer": {"isGuest": True}}

    await page.get_by_role("button", name="Done").click()
    await page.reload()
    await page.get_by_role("button", name="Revoke my program").click()
    assert secret is not None
    assert secret not in await page.content()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_text("my program", exact=True)).to_have_count(0)

    refused = await person.context.request.post(f"{person.url}/graphql", **asks)  # type: ignore[arg-type] # the same
    assert refused.status == 401
