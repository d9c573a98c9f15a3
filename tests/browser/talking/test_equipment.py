"""The page with a faulty microphone, loudspeaker or network."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.chapters import sees_one_notice, types_and_is_answered
from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.browser.scripted import port_of, with_a_script
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def over_both(speaking: ServerProcess, in_rooms: ServerProcess) -> tuple[ServerProcess, ...]:
    """One server for each transport; tests visit both in the same browser."""
    return speaking, in_rooms


async def moves_to(person: Person, server: ServerProcess) -> None:
    """Start at another server that is new to this browser."""
    await person.context.clear_cookies()
    person.url = server.url
    await person.comes_as_guest()
    await person.starts_talking()


async def test_who_may_not_have_the_microphone_types(
    over_both: tuple[ServerProcess, ...], visit: Visit
) -> None:
    """The page says what is wrong and what to do; typed lines are answered like spoken ones."""
    person = await visit("", may_use_microphone=False)
    for server in over_both:
        await moves_to(person, server)
        await sees_one_notice(person, "Your microphone is blocked for this page.")
        await sees_one_notice(person, "Allow it next to the address")

        await types_and_is_answered(person)


async def test_who_has_no_microphone_types(
    over_both: tuple[ServerProcess, ...], visit: Visit
) -> None:
    """The page reports a missing microphone only where it is missing; "Try again" looks again.

    After a reload that is still the only notice, though such a browser also wants a click before it
    plays sound.
    """
    flags = ["--autoplay-policy=user-gesture-required"]
    person = await visit("", has_microphone=False, flags=flags)
    for server in over_both:
        await moves_to(person, server)
        await sees_one_notice(person, "No microphone found.")

        await person.page.get_by_role("button", name="Try again").click()
        await sees_one_notice(person, "No microphone found.")
        await types_and_is_answered(person)

        await person.page.reload()
        await person.is_listened_to()
        await sees_one_notice(person, "No microphone found.")


async def test_a_page_that_is_not_secure_is_typed_on(visit: Visit, tmp_path: Path) -> None:
    """Over plain http to another machine, browsers allow neither microphone nor sound."""
    url = "http://voxql.test"
    async with with_a_script(tmp_path / "server", VOXQL_PUBLIC_URL=url) as (server, _):
        # The name is mapped to the server's port, so any free port will do.
        flag = f"--host-resolver-rules=MAP voxql.test 127.0.0.1:{port_of(server)}"
        person = await visit(url, flags=[flag])
        await person.comes_as_guest()
        assert not await person.page.evaluate("isSecureContext")
        await person.starts_talking()

        await sees_one_notice(person, "This page isn't secure")
        await types_and_is_answered(person)


async def test_a_browser_that_wants_a_click_first_gets_one(
    speaking: ServerProcess, visit: Visit
) -> None:
    """After a reload the page asks for a click; then the agent is heard."""
    person = await visit(speaking.url)
    # Chromium lets a page that captures the microphone play sound; other browsers do not.
    await person.page.add_init_script(
        """let isClicked = false
        addEventListener('pointerdown', () => { isClicked = true }, true)
        const {resume} = AudioContext.prototype
        AudioContext.prototype.resume = function () {
          return isClicked ? resume.call(this) : new Promise(() => {})
        }
        window.AudioContext = class extends AudioContext {
          constructor(...options) {
            super(...options)
            if (!isClicked) void this.suspend()
          }
        }"""
    )
    await person.comes_as_guest()
    await person.starts_talking()
    await person.types("Hello")
    await expect(person.answers).to_have_count(1)
    # An answer that the reloaded page can't play would keep the agent speaking.
    await person.is_listened_to()
    await person.page.reload()
    await person.is_listened_to()

    await sees_one_notice(person, "Click to turn on sound.")
    await person.page.get_by_role("button", name="Turn on sound").click()

    await expect(person.page.locator(".notice")).to_have_count(0)
    await person.page.evaluate("states.length = 0")
    await person.types("Repeat after me: can you hear me now")
    await person.sees("Speaking")
    await expect(person.answers.filter(has_text="hear me now")).to_have_count(1)


async def test_a_network_that_is_gone_is_said_and_goes_on_when_it_is_back(
    speaking: ServerProcess, visit: Visit
) -> None:
    """A banner shows while the network is gone; then the same conversation goes on."""
    person = await visit(speaking.url)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("before")

    await person.context.set_offline(True)
    banner = person.page.get_by_text("You're offline.")
    await expect(banner).to_be_visible()
    await expect(person.finals).to_have_text("before")

    await person.context.set_offline(False)
    await expect(banner).to_have_count(0)
    assert await person.is_listened_to() == session
    await person.types("after")


async def test_a_server_that_is_down_is_reconnected_to(visit: Visit, tmp_path: Path) -> None:
    """The dock says "Reconnecting…", not that it loads; afterwards the conversation goes on."""
    async with with_a_script(tmp_path / "server") as (server, _):
        person = await visit(server.url)
        await person.comes_as_guest()
        session = await person.starts_talking()
        await person.types("before")

        server.kill()
        await expect(person.state).to_have_text("Reconnecting…")
        await expect(person.field).to_have_attribute("placeholder", "Type here meanwhile")

        await asyncio.to_thread(server.start)
        assert await person.is_listened_to() == session
        await person.types("after")
        await expect(person.page.locator(".notice")).to_have_count(0)
