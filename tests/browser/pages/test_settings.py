"""A person's settings: the theme, and API tokens for programs."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

PAPER = {"Light": "rgb(252, 251, 249)", "Dark": "rgb(24, 23, 22)"}
"""Each theme's background, as in styles/tokens.css."""


async def is_shown(person: Person, theme: str) -> None:
    await expect(person.page.locator("body")).to_have_css("background-color", PAPER[theme])


@pytest.mark.parametrize(("system", "other"), [("Light", "Dark"), ("Dark", "Light")])
async def test_the_chosen_theme_is_shown_and_kept(
    answering: ServerProcess, visit: Visit, system: str, other: str
) -> None:
    """The choice overrides the system on every page and after a reload; "System" undoes it."""
    scheme = {"Light": "light", "Dark": "dark"}
    person = await visit(answering.url, color_scheme=scheme[system])
    page = person.page
    await person.comes_as_guest()
    await is_shown(person, system)
    await page.get_by_role("link", name="Guest", exact=True).click()
    choices = {name: page.get_by_role("radio", name=name) for name in ("System", "Light", "Dark")}
    await expect(choices["System"]).to_be_checked()

    await choices[other].check()
    await is_shown(person, other)
    await page.reload()
    await is_shown(person, other)
    await expect(choices[other]).to_be_checked()
    await page.goto(person.url)
    await page.get_by_role("button", name="Start talking").wait_for()
    await is_shown(person, other)

    await page.get_by_role("link", name="Guest", exact=True).click()
    await choices[system].check()
    await is_shown(person, system)
    await page.emulate_media(color_scheme="dark" if other == "Dark" else "light")
    await is_shown(person, system)

    await choices["System"].check()
    await is_shown(person, other)
    await page.reload()
    await is_shown(person, other)
    await expect(choices["System"]).to_be_checked()


async def test_the_chosen_theme_is_there_before_anything_is_drawn(
    answering: ServerProcess, visit: Visit
) -> None:
    """A chosen dark theme is applied before the page's own script, without a bright flash."""
    person = await visit(answering.url, color_scheme="light")
    await person.comes_as_guest()
    await person.page.goto(f"{person.url}/settings")
    await person.page.get_by_role("radio", name="Dark").check()
    await is_shown(person, "Dark")

    await person.page.route("**/assets/*.js", lambda route: route.abort())
    await person.page.reload()

    await is_shown(person, "Dark")
    await expect(person.page.locator("#root")).to_be_empty()


async def test_settings_make_a_token_once_and_take_it_back(
    answering: ServerProcess, visit: Visit
) -> None:
    """The secret works, is shown once, and is refused after it was revoked."""
    person = await visit(answering.url)
    page = person.page
    await person.comes_as_guest()
    await page.goto(f"{person.url}/settings")
    await page.get_by_label("Token name").fill("my program")
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
