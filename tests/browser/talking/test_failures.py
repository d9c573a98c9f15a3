"""The page reports failures and loses nothing."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from playwright.async_api import Error, Route, expect

from tests.browser.chapters import nothing_is_lost
from tests.browser.conftest import READY_WITHIN_S, Visit
from tests.browser.person import Person, blocked, broken, variables
from tests.browser.scripted import with_a_script
from tests.programs.server_process import ServerProcess
from tests.rows import FILE

# Some tests start a server and its agent, which loads models, twice.
pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

SAID = "he was not an ill disposed young man"


async def has_typed(person: Person) -> str:
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types(SAID)
    return session


async def test_a_save_that_fails_in_three_ways_is_repeated_until_it_works(
    answering: ServerProcess, visit: Visit
) -> None:
    """A blocked request, a 500 and a 10 s timeout are each reported; Retry finally saves."""
    person = await visit(answering.url)
    session = await has_typed(person)

    async with person.answered(blocked, operation="StartNewChat"):
        await person.new_chat.click()
        retry = await nothing_is_lost(person, "Can't reach the server", SAID)
        assert person.asked.count("StartNewChat") == 1 + 3

    async with person.answered(broken, operation="StartNewChat"):
        await retry.click()
        retry = await nothing_is_lost(person, "Something went wrong on the server", SAID)

    let_go = asyncio.Event()

    async def silent(route: Route) -> None:
        await let_go.wait()
        with suppress(Error):  # the page has cancelled these
            await route.abort()

    async with person.answered(silent, operation="StartNewChat"):
        await retry.click()
        await expect(person.new_chat).to_have_text("Saving…")
        await expect(person.new_chat).to_be_disabled()
        retry = await nothing_is_lost(person, "The server took too long", SAID)
        let_go.set()

    assert person.session_id == session
    await retry.click()
    await person.is_listened_to(other_than=session)

    await expect(person.page.get_by_role("alert")).to_have_count(0)
    await expect(person.rows).to_have_count(1)
    assert "young man" in await person.reads(session)


def why_ended(server: ServerProcess) -> list[str | None]:
    """Return the end reason of each session in the database, oldest first."""
    with closing(sqlite3.connect(f"file:{server.data_dir / FILE}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT end_reason FROM sessions ORDER BY created_at").fetchall()
    return [reason for (reason,) in rows]


@pytest.mark.parametrize("is_done", [False, True], ids=["before it arrives", "after it is done"])
async def test_a_new_chat_under_which_the_server_is_killed_is_made_once(
    visit: Visit, tmp_path: Path, is_done: bool
) -> None:
    """After SIGKILL while the answer is pending, Retry uses the same key; nothing is duplicated."""
    keys: list[str] = []
    # A failed session waits for as long as the server and its agent need to come back.
    settings = {"VOXQL_RETRY_S": "600", "VOXQL_START_TIMEOUT_S": "5"}

    async def killed(route: Route) -> None:
        keys.append(variables(route)["input"]["idempotencyKey"])
        if len(keys) > 1:
            await route.continue_()
            return
        if is_done:
            # The agent must not join when the dying server dispatches it.
            agent.comes = False
            answer = await route.fetch()
            assert (await answer.json())["data"]["startNewChat"]["saved"]["isSaved"]
        await asyncio.to_thread(server.kill)
        await route.abort()

    async with with_a_script(tmp_path / "server", **settings) as (server, agent):
        person = await visit(server.url)
        await person.comes_as_guest()
        first = await person.starts_talking()
        agent.hears(first, SAID)
        await expect(person.finals.filter(has_text=SAID)).to_have_count(1)
        async with person.answered(killed, operation="StartNewChat"):
            await person.new_chat.click()
            # The stream reported the save before the server died.
            comfort = "Your conversation is saved." if is_done else "Nothing is lost"
            await nothing_is_lost(person, "Can't reach the server", SAID, comfort=comfort)
            assert why_ended(server) == (["SAVED", None] if is_done else [None])

            await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.wait_for, "worker connected", READY_WITHIN_S)
            alert = person.page.get_by_role("alert")
            if not is_done:
                # The stream is back, and reports that the conversation is active.
                await expect(alert).to_contain_text("You're connected again.")
            await alert.get_by_role("button", name="Try again").click()
            if is_done:
                agent.comes = True
                missing = alert.filter(has_text="The agent couldn't")
                await missing.get_by_role("button", name="Try again").click()
            await person.is_listened_to(other_than=first)

        assert len(keys) == 3 + 1
        assert len(set(keys)) == 1
        assert why_ended(server) == ["SAVED", None]
        await expect(person.rows).to_have_count(1)
        assert "young man" in await person.reads(first)


async def test_an_agent_that_hangs_is_an_error_and_one_that_dies_leaves_its_words(
    visit: Visit, tmp_path: Path
) -> None:
    """A missing agent is an error that Retry fixes; a dead agent's line is marked unfinished.

    If no other agent replaces it, the error returns, and Retry brings a third agent.
    """
    async with with_a_script(tmp_path / "server", VOXQL_START_TIMEOUT_S="5") as (server, agent):
        person = await visit(server.url)
        await person.comes_as_guest()
        agent.comes = False
        await person.page.get_by_role("button", name="Start talking").click()
        await person.sees("Waiting for the agent…")
        alert = person.page.get_by_role("alert").filter(has_text="The agent couldn't join.")
        await expect(alert).to_contain_text("Try again in a moment.")
        await expect(person.page.locator(".notice")).to_have_count(1)
        await expect(person.page.get_by_role("heading", name="No agent yet")).to_be_visible()
        await expect(person.field).to_be_editable()

        agent.comes = True
        await alert.get_by_role("button", name="Try again").click()
        session = await person.is_listened_to()
        await expect(alert).to_have_count(0)
        agent.hears(session, SAID)
        await expect(person.finals.filter(has_text=SAID)).to_have_count(1)

        agent.hears(session, "Mr Dashwood had then leisure", is_final=False)
        key = await person.is_saying("mister dashwood had then leisure")
        agent.comes = False
        agent.dies(session)

        line = person.line(key)
        await expect(line).to_contain_text("unfinished")
        await expect(line).to_contain_text("leisure")
        await expect(line).to_have_attribute("data-final", "false")
        # The next agent does not join either.
        await expect(alert).to_be_visible()
        await expect(person.state).to_have_text("Agent unavailable")
        agent.comes = True
        await alert.get_by_role("button", name="Try again").click()
        await expect(alert).to_have_count(0)
        assert await person.is_listened_to() == session
        agent.hears(session, "another listens")
        await expect(person.finals.filter(has_text="another listens")).to_have_count(1)
        await expect(person.finals.filter(has_text=SAID)).to_have_count(1)
        await person.page.get_by_role("button", name="End", exact=True).click()
        await person.page.get_by_role("button", name="Start talking").wait_for()

        assert "leisure" in await person.reads(session)
        await expect(line).to_contain_text("unfinished")
        await expect(line).to_contain_text("leisure")


async def test_nobody_reaches_another_persons_conversation_by_its_address(
    answering: ServerProcess, visit: Visit
) -> None:
    """Another guest sees "No access", a visitor the entrance, and a wrong address "Not found"."""
    owner = await visit(answering.url)
    session = await has_typed(owner)
    other = await visit(answering.url)

    await other.page.goto(f"{other.url}/c/{session}")
    await expect(other.page.get_by_role("button", name="Continue as guest")).to_be_visible()
    await expect(other.page.get_by_text("young man")).to_have_count(0)
    await other.page.get_by_role("button", name="Continue as guest").click()
    await expect(other.page.get_by_role("heading", name="No access").first).to_be_visible()
    await expect(other.page.get_by_text("young man")).to_have_count(0)

    unknown = session[:-4] + ("aaaa" if not session.endswith("aaaa") else "bbbb")
    for address in (unknown, "nonsense"):
        await other.page.goto(f"{other.url}/c/{address}")
        await expect(other.page.get_by_role("heading", name="Not found").first).to_be_visible()
