"""Guests, accounts, ownership of conversations, and keyboard focus."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse battery staple"

# Record notes: on a busy machine they disappear before anybody can look.
NOTES = """() => {
  window.notes = new Set()
  new MutationObserver(() => {
    for (const note of document.querySelectorAll('.toast')) notes.add(note.textContent)
  }).observe(document.body, {subtree: true, childList: true, characterData: true})
}"""


async def has_typed(person: Person, line: str) -> str:
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types(line)
    await person.page.get_by_role("button", name="End", exact=True).click()
    await person.page.get_by_role("button", name="Start talking").wait_for()
    return session


async def fills_in(person: Person, email: str, button: str) -> None:
    await person.page.get_by_label("E-mail").fill(email)
    await person.page.get_by_label("Password").fill(PASSWORD)
    await person.page.get_by_role("button", name=button, exact=True).last.click()


async def test_a_guest_who_signs_up_keeps_everything(
    answering: ServerProcess, visit: Visit, tmp_path: Path
) -> None:
    """An account takes over its guest's conversations; "You're signed out." appears only once."""
    email = f"{tmp_path.name}@example.org"
    person = await visit(answering.url)
    page = person.page
    session = await has_typed(person, "said as a guest")
    await page.get_by_role("link", name="Guest", exact=True).click()
    # Signing out would lose the conversation: the page asks first, and offers an account.
    await page.get_by_role("button", name="Sign out").click()
    question = page.get_by_role("dialog", name="Sign out and lose your conversations?")
    await expect(person.focused).to_have_accessible_name("Create account")
    await page.keyboard.press("Escape")
    await expect(question).to_have_count(0)
    await expect(person.rows).to_have_count(1)
    await page.get_by_role("button", name="Sign out").click()
    await question.get_by_role("button", name="Create account").click()
    await page.evaluate(NOTES)
    await fills_in(person, email, "Create account")
    await page.wait_for_function("() => notes.has('1 conversation is now in your account.')")
    await expect(page.get_by_text(f"Signed in as {email}.")).to_be_visible()
    await expect(person.focused).to_have_count(1)
    assert "said as a guest" in await person.reads(session)

    await page.goto(f"{person.url}/settings")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status").filter(has_text="You're signed out.")).to_be_visible()
    await expect(person.focused).to_have_id("main")
    await expect(person.rows).to_have_count(0)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await fills_in(person, email, "Sign in")

    await expect(person.rows).to_have_count(1)
    await expect(page.get_by_text("You're signed out.")).to_have_count(0)
    await expect(person.focused).to_have_accessible_name("Start talking")


async def test_a_guest_who_signs_in_brings_the_conversations_along(
    answering: ServerProcess, visit: Visit, tmp_path: Path
) -> None:
    """A guest who signs in from another browser adds conversations to the account's own."""
    email = f"{tmp_path.name}@example.org"
    owner = await visit(answering.url)
    await has_typed(owner, "said at home")
    await owner.page.get_by_role("link", name="Guest", exact=True).click()
    await owner.page.get_by_role("button", name="Create account").click()
    await fills_in(owner, email, "Create account")
    await expect(owner.page.get_by_text(f"Signed in as {email}.")).to_be_visible()

    guest = await visit(answering.url)
    await has_typed(guest, "said on the way")
    await guest.page.get_by_role("link", name="Guest", exact=True).click()
    await guest.page.get_by_role("button", name="Sign in").click()
    await guest.page.evaluate(NOTES)
    await fills_in(guest, email, "Sign in")
    await guest.page.wait_for_function("() => notes.has('1 conversation is now in your account.')")

    await expect(guest.page.get_by_text(f"Signed in as {email}.")).to_be_visible()
    await expect(guest.rows).to_have_count(2)
    await expect(owner.rows).to_have_count(2)


async def test_the_wrong_password_is_told_where_it_was_typed(
    answering: ServerProcess, visit: Visit
) -> None:
    """The page shows the error and keeps the address for another try."""
    person = await visit(answering.url)
    await person.page.goto(person.url)
    await person.page.get_by_role("button", name="Sign in", exact=True).click()
    await fills_in(person, "nobody@example.org", "Sign in")

    await expect(person.page.get_by_role("alert")).to_be_visible()
    await expect(person.page.get_by_label("E-mail")).to_have_value("nobody@example.org")


async def test_what_is_deleted_is_gone_everywhere(answering: ServerProcess, visit: Visit) -> None:
    """A deleted row disappears at once, returns on undo, and otherwise is gone for good."""
    person = await visit(answering.url)
    page = person.page
    session = await has_typed(person, "to be deleted")
    other = Person(person.url, await person.context.new_page(), person.context)
    await other.reads(session)

    async def delete() -> None:
        await page.locator(".row").hover()
        await page.get_by_role("button", name="Options for to be deleted").click()
        await page.get_by_role("menuitem", name="Delete").click()

    await delete()
    note = page.locator(".toast").filter(has_text="deleted")
    await expect(note).to_have_count(1)
    await expect(person.rows).to_have_count(0)
    await expect(person.focused).to_have_id("search")
    assert "DeleteSession" not in person.asked
    await note.get_by_role("button", name="Undo").click()
    await expect(person.rows).to_have_count(1)
    await expect(note).to_have_count(0)
    await expect(other.rows).to_have_count(1)

    # With the keyboard, within the undo period and after it.
    await delete()
    await expect(note).to_have_count(1)
    await page.get_by_role("button", name="Start talking").focus()
    await page.keyboard.press("Control+z")
    await expect(person.rows).to_have_count(1)
    await delete()
    await expect(note).to_have_count(1)
    await expect(note).to_have_count(0)
    assert person.asked.count("DeleteSession") == 1
    await expect(other.rows).to_have_count(0)
    await expect(person.rows).to_have_count(0)
    await page.goto(f"{person.url}/c/{session}")
    await expect(page.get_by_role("heading", name="Not found").first).to_be_visible()


async def test_the_focus_is_never_nowhere(answering: ServerProcess, visit: Visit) -> None:
    """Something has the focus after entering, starting, saving, ending, and every dialog."""
    person = await visit(answering.url)
    page = person.page
    await person.comes_as_guest()
    await expect(person.focused).to_have_accessible_name("Start talking")
    await page.keyboard.press("Enter")
    first = await person.is_listened_to()
    await expect(person.focused).to_have_accessible_name("Type instead of speaking")
    await person.types("a line")

    await person.new_chat.click()
    await person.is_listened_to(other_than=first)
    await expect(person.focused).to_have_accessible_name("Type instead of speaking")
    await page.keyboard.press("Control+/")
    await page.get_by_role("dialog").wait_for()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(person.focused).to_have_accessible_name("Type instead of speaking")

    await page.get_by_role("button", name="End", exact=True).click()
    await page.get_by_role("button", name="Start talking").wait_for()
    await expect(person.focused).to_have_accessible_name("Start talking")
    await page.get_by_role("button", name="Close history").first.click()
    await expect(person.focused).to_have_accessible_name("Open history")
    await page.keyboard.press("Enter")
    await expect(person.focused).to_have_accessible_name("Close history")
    await page.locator(".row").hover()
    await page.get_by_role("button", name="Options for").click()
    await page.get_by_role("menuitem", name="Rename").click()
    await expect(page.get_by_label("Title")).to_be_focused()
    await page.keyboard.type("Another name")
    await page.keyboard.press("Enter")
    await expect(person.rows).to_contain_text(["Another name"])
    await expect(person.focused).to_contain_text("Another name")
