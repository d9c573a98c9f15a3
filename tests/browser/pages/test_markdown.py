"""An agent's Markdown is formatted, sanitized, and announced without its marks."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from voxql_bridge import new_segment

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.browser.scripted import with_a_script

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

ANSWER = """## What you need

Buy **two fresh** *eggs* and `butter`, from [the market](https://market.example/list?a=1):

1. Whisk them
2. Then
   - salt
   - pepper

> Don't hurry.

| step | minutes |
|------|--------:|
| whisk | 2 |
| fry | 5 |

```python
print("a line of code that goes on and on", "until it does not fit on a narrow page any more")
```
![A pan](https://elsewhere.example/pan.png)"""
HOSTILE = """<script>document.title = 'owned'</script><img src=x onerror="document.title = 'owned'">
[one](javascript:document.title='owned') ![two](https://elsewhere.example/track.gif)"""
ANNOUNCED = "Buy two fresh eggs and butter, from the market: 1. Whisk them 2. Then salt pepper"


async def test_an_answer_is_formatted_while_it_is_said_and_afterwards(
    visit: Visit, tmp_path: Path
) -> None:
    """Marks are neither shown nor announced, but copied; axe-core finds no violation."""
    async with with_a_script(tmp_path / "server") as (server, agent):
        person = await visit(server.url, permissions=["clipboard-read", "clipboard-write"])
        await person.comes_as_guest()
        session = await person.starts_talking()
        asked: list[str] = []
        person.page.on("request", lambda request: asked.append(request.url))
        segment = new_segment()

        agent.says(session, ANSWER[: ANSWER.index(" fresh")], segment, is_final=False)
        line = person.page.locator('.line[data-role="AGENT"] .line-text').first
        await expect(line.locator("strong")).to_have_text("two")
        await expect(line).to_have_text("What you needBuy two")

        agent.says(session, ANSWER, segment)
        await expect(line.locator("tbody tr")).to_have_count(2)
        await expect(line.locator("ol ul li")).to_have_count(2)
        link = line.get_by_role("link", name="the market")
        await expect(link).to_have_attribute("href", "https://market.example/list?a=1")
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        await expect(line.get_by_role("link", name="A pan")).to_have_count(1)
        log = person.page.get_by_role("log", name="Announcements")
        await expect(log).to_contain_text(ANNOUNCED)
        await expect(log).not_to_contain_text(re.compile(r"[*`|#\[]"))

        turn = person.page.locator(".turn").filter(has=line)
        await turn.get_by_role("button", name="Copy").click()
        copied = await person.page.evaluate("navigator.clipboard.readText()")
        assert copied == ANSWER
        await is_legible(person, tmp_path)

        agent.says(session, HOSTILE, new_segment())
        await expect(person.answers).to_have_count(2)
        await expect(person.answers.nth(1)).to_contain_text("<script>")
        assert await person.page.title() != "owned"
        assert [url for url in asked if ".example" in url] == []


async def is_legible(person: Person, folder: Path) -> None:
    """Check it in both themes, wide and narrow."""
    for width in (1280, 360):
        await person.page.set_viewport_size({"width": width, "height": 860})
        for scheme in ("light", "dark"):
            await person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await person.page.screenshot(path=folder / f"{scheme}-{width}.png")
            assert await person.axe() == []
        wide = await person.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width


async def test_what_people_type_stays_as_it_is(visit: Visit, tmp_path: Path) -> None:
    """A person's lines are shown as plain text."""
    async with with_a_script(tmp_path / "server") as (server, _):
        person = await visit(server.url)
        await person.comes_as_guest()
        await person.starts_talking()
        await person.types("is **this** _plain_?")
        await expect(person.answers.locator("strong")).to_have_text("this")
        assert await person.finals.locator("strong, em").count() == 0
