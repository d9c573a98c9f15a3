"""A search result opens at the matching line, in a conversation of any length and script."""

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

NOW = "2026-11-01T12:00:00Z"


async def has_said(person: Person, *texts: str) -> str:
    """Save a conversation with these lines, user and agent in turn; return its id."""

    async def ask(query: str, **variables: object) -> dict[str, dict[str, dict[str, str]]]:
        answer = await person.context.request.post(
            f"{person.url}/graphql",
            data={"query": query, "variables": variables},
            headers={"Origin": person.url},
        )
        found: dict[str, dict[str, dict[str, str]]] = (await answer.json())["data"]
        return found

    begun = await ask("mutation { startNewChat { session { id } } }")
    session = begun["startNewChat"]["session"]["id"]
    messages = [
        {"key": f"k{at}", "role": ("USER", "AGENT")[at % 2], "text": text, "timestamp": NOW}
        for at, text in enumerate(texts)
    ]
    await ask(
        "mutation($i: SaveSessionInput!) { saveSession(input: $i) { isSaved } }",
        i={"sessionId": session, "messages": messages},
    )
    return session


def shown_match(person: Person) -> Locator:
    return person.page.locator(".line[aria-current]")


async def is_at(person: Person, text: str, count: str) -> None:
    """Wait until this line is the current match, in the middle of the viewport."""
    match = shown_match(person)
    await expect(match.locator(".line-text")).to_have_text(text)
    await expect(person.page.locator(".find-count")).to_contain_text(count)
    handle = await match.element_handle()
    await person.page.wait_for_function(
        """line => {
          const place = line.querySelector('mark').getBoundingClientRect()
          const seen = line.closest('.scroll').getBoundingClientRect()
          const middle = (place.top + place.bottom) / 2
          return Math.abs(middle - (seen.top + seen.bottom) / 2) < 40
        }""",
        arg=handle,
    )


async def test_a_result_opens_at_its_match_however_long_the_conversation_is(
    server: ServerProcess, visit: Visit
) -> None:
    """Matches are marked, lead to each other and survive a reload; earlier lines load on scroll."""
    person = await visit(server.url, has_microphone=False)
    page = person.page
    await person.comes_as_guest()
    # The shortest line ranks best.
    rare = {300: "The garden", 900: "Gardens & more of them", 2300: "In the garden, late"}
    await has_said(person, *(rare.get(at, f"Line number {at}") for at in range(2400)))
    for at in range(12):
        await has_said(person, f"Something else {at}")
    await page.goto(person.url)
    await expect(person.rows).to_have_count(13)
    await page.locator(".list").evaluate("list => list.scrollTo(0, 1000)")

    await page.get_by_label("Search conversations").fill("garden")
    await expect(person.rows).to_have_count(1)
    assert await page.locator(".list").evaluate("list => list.scrollTop") == 0
    await person.rows.click()

    await is_at(person, rare[300], "Line 1 of 3")
    await expect(shown_match(person).locator("mark")).to_have_text("garden")
    asked = person.asked.count("Past")
    await page.get_by_role("button", name="Next match").click()
    await is_at(person, rare[900], "Line 2 of 3")
    await expect(shown_match(person).locator("mark")).to_have_text("Gardens")
    await expect(person.focused).to_have_accessible_name("Next match")
    await page.keyboard.press("F3")
    await is_at(person, rare[2300], "Line 3 of 3")
    await page.reload()
    await is_at(person, rare[2300], "Line 3 of 3")
    await page.keyboard.press("Shift+F3")
    await is_at(person, rare[900], "Line 2 of 3")
    # Only the lines around each match were loaded, nothing from either end.
    assert person.asked.count("Past") == asked == 0

    # Earlier lines load when the person scrolls near them, and shift nothing.
    scroll = page.get_by_role("region", name="Conversation")
    await scroll.hover()
    for number in (150, 0):
        await scroll.evaluate("e => e.scrollTo(0, 0)")
        first = page.locator(".line-text").first
        await expect(first).to_have_text(f"Line number {number}")
    assert await scroll.evaluate("e => e.scrollTop") > 0
    assert await page.locator(".line").count() == 1151
    await page.get_by_role("button", name="Close search").click()
    await expect(page.locator("mark")).to_have_count(0)
    await expect(person.focused).to_have_count(1)
    await page.wait_for_url(lambda url: "?" not in url)


async def test_words_are_looked_for_in_the_conversation_that_is_open(
    server: ServerProcess, visit: Visit
) -> None:
    """The menu opens the search, Enter goes to the next match, and a lack of matches is shown."""
    person = await visit(server.url, has_microphone=False)
    page = person.page
    await person.comes_as_guest()
    session = await has_said(person, "One tea", "No", "Two teas", "No", "Tea three")
    await person.reads(session)

    await page.get_by_role("button", name="Conversation options").click()
    await page.get_by_role("menuitem", name="Search this conversation").click()
    field = page.get_by_role("searchbox", name="Search this conversation")
    await expect(field).to_be_focused()
    # At once: on a slow machine "te" would be searched first, and Enter would then search "tea".
    await field.fill("tea")
    await expect(shown_match(person)).to_contain_text("One tea")
    await expect(page.locator(".find-count")).to_contain_text("Line 1 of 3")
    await page.keyboard.press("Enter")
    await expect(shown_match(person)).to_contain_text("Two teas")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.press("Shift+Enter")
    await expect(shown_match(person)).to_contain_text("Tea three")
    assert await person.axe() == []
    await field.fill("coffee")
    await expect(page.locator(".find-count")).to_have_text("No matching lines")
    await expect(page.locator(".line mark")).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(field).to_have_count(0)


async def test_words_of_any_script_run_as_they_are_written(
    server: ServerProcess, visit: Visit
) -> None:
    """List, title, line and search field use the script's direction; matches are marked."""
    person = await visit(server.url, has_microphone=False)
    page = person.page
    await person.comes_as_guest()
    await has_said(person, "مرحبا، كيف حالك؟", "Fine, thank you.", "ما هو الطَّقْس؟")

    await page.get_by_label("Search conversations").fill("الطقس")
    await expect(page.locator(".row-preview mark")).to_have_text("الطَّقْس")
    await page.goto(f"{person.url}{await person.rows.get_attribute('href')}")
    await expect(shown_match(person).locator("mark")).to_have_text("الطَّقْس")
    direction = "all => all.map(each => getComputedStyle(each).direction)"
    assert await person.lines.evaluate_all(direction) == ["rtl", "ltr", "rtl"]
    assert await page.locator(".row-title, .find input").evaluate_all(direction) == ["rtl"] * 2


async def test_a_title_is_changed_where_it_stands_also_on_a_telephone(
    server: ServerProcess, visit: Visit
) -> None:
    """Enter saves, Esc cancels, an empty title restores the default, and a long one is an error."""
    person = await visit(server.url, has_microphone=False, viewport={"width": 360, "height": 740})
    page = person.page
    await person.comes_as_guest()
    session = await has_said(person, "said once")
    await person.reads(session)
    heading = page.get_by_role("heading", level=1)
    field = page.get_by_label("Title")

    await heading.get_by_role("button").click()
    await expect(field).to_be_focused()
    box = await field.bounding_box()
    assert box is not None
    assert box["width"] > 250
    await page.keyboard.type("שם חדש")
    assert await field.evaluate("e => getComputedStyle(e).direction") == "rtl"
    await page.keyboard.press("Enter")
    await expect(heading).to_have_text("שם חדש")
    await expect(page).to_have_title("שם חדש · VoxQL")
    await expect(heading.get_by_role("button")).to_be_focused()

    await page.keyboard.press("Enter")
    await page.keyboard.type("not this")
    await page.keyboard.press("Escape")
    await expect(heading).to_have_text("שם חדש")
    await page.get_by_role("button", name="Conversation options").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await field.fill("x" * 201)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("at most 200 characters")
    assert await person.axe() == []
    await field.fill("")
    await page.keyboard.press("Enter")
    # Without a title, it is named after its first words.
    await expect(heading).to_have_text("Said once")
    assert person.asked.count("RenameSession") == 2


async def test_what_is_deleted_and_left_at_once_is_deleted(
    server: ServerProcess, visit: Visit
) -> None:
    """Leaving the page within the undo period completes the deletion."""
    person = await visit(server.url, has_microphone=False)
    page = person.page
    await person.comes_as_guest()
    session = await has_said(person, "said once")
    await person.reads(session)
    await page.get_by_role("button", name="Conversation options").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(page).to_have_url(f"{person.url}/")
    await page.get_by_role("button", name="Undo").click()
    await expect(page).to_have_url(f"{person.url}/c/{session}")
    await expect(person.lines).to_have_text(["said once"])

    await page.get_by_role("button", name="Conversation options").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(page.get_by_role("button", name="Undo")).to_be_visible()
    await page.goto(f"{person.url}/c/{session}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
