"""The playground page, in a real browser."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from models import tables
from resolvers.backend import Backend
from schema import playground
from tests.schema.clients import Http
from tests.schema.fakes import Agent

BROWSER = Path(__file__).parent / "browser"
CHROMIUM = shutil.which("chromium") or "chromium"


async def test_its_examples_run_in_a_browser_which_asks_nobody_else(
    url: str, backend: Backend
) -> None:
    """The examples sign in, start a chat, watch, type, save and search, all from this origin."""
    process = await asyncio.create_subprocess_exec(
        *("node", "playground.mjs", url, CHROMIUM),
        cwd=BROWSER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    async with asyncio.timeout(90):
        outcome = json.loads(await process.stdout.readline())
        if "watching" in outcome:
            session = await tables.Session.get()
            agent = Agent(backend, session.id)
            await agent.come()
            await agent.say("spoken while you watch")
            outcome = json.loads(await process.stdout.readline())
        if "left" in outcome:
            await agent.say("spoken when nobody watched", segment="SG_2")
            process.stdin.write(b"go on\n")
            outcome = json.loads(await process.stdout.readline())
        await process.wait()

    assert outcome.get("error") is None
    assert outcome["tabs"] == [
        "SignInAsGuest",
        "StartChat",
        "Transcripts",
        "SendMessage",
        "Save",
        "History",
    ]
    assert outcome["steps"] == outcome["tabs"]
    stop, run = outcome["watching"], outcome["added"]
    assert stop[:2] == ["Stop query (Ctrl-Enter)", '"Stop"']
    assert run[:2] == ["Execute query (Ctrl-Enter)", "none"], "in a new tab nothing runs"
    assert stop[2] != run[2]
    assert "isGuest" in outcome["ofAdded"]
    assert "spoken" not in outcome["ofAdded"]
    assert set(outcome["origins"]) == {url, url.replace("http", "ws", 1)}
    assert outcome["problems"] == []


async def test_a_browser_gets_the_page_and_a_program_gets_json(client: Http) -> None:
    """A request for HTML gets the page; a query gets an answer, also from a browser."""
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    page = await client.raw.get("/graphql", headers=html)
    answer = await client.raw.get("/graphql?query={__typename}", headers=html)

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert answer.json() == {"data": {"__typename": "Query"}}


async def test_without_its_files_the_page_says_how_to_get_them(
    client: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page names the command that builds the playground."""
    monkeypatch.setattr(playground, "FOLDER", tmp_path)

    page = await client.raw.get("/graphql", headers={"Accept": "text/html"})

    assert page.status_code == 200
    assert "make setup" in page.text
