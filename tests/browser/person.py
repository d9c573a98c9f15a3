"""A person at a real Chromium whose microphone plays recorded speech."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
    Route,
    expect,
)

from tests.browser.chromium import (
    ALLOWED,
    CHROMIUM,
    FLAGS,
    SOUNDS_AT_ONCE,
    WITHOUT_WINDOWS,
    hearing,
)
from tests.browser.in_the_page import LINES, MOUTH, STATES
from tests.speech.sound import RATE, Clip
from tests.speech.words import places, starts_with

PATIENCE_MS: Final = 30_000
LEAD_S: Final = 6.0
"""Silence before the speech of a microphone that starts with the click: the server gives an agent
5 s to be ready. A busy machine may need longer; where that matters, use `speaks_on_demand`."""
LISTENS: Final = re.compile("^(Listening|Muted|Microphone off)$")
"""The dock's text while the agent listens, for a person who speaks or only types."""
SESSION: Final = re.compile(r"/c/(ses_\w+)$")

# Logged by the browser for requests that a test makes fail, a page without https, or a reloaded
# page without a click; and by axe, if a stylesheet that the page loads when idle is still missing
# while the browser is offline.
EXPECTED: Final = re.compile(
    r"Failed to load resource|WebSocket connection to|VoxQL: |"
    r"Cross-Origin-Opener-Policy header has been ignored|"
    r"The AudioContext was not allowed to start|"
    r"Couldn't load preload assets"
)

Answering = Callable[[Route], Awaitable[None]]


async def broken(route: Route) -> None:
    """Answer as a faulty server does."""
    await route.fulfill(status=500, body="oh")


async def blocked(route: Route) -> None:
    """Fail as if the server were unreachable."""
    await route.abort()


async def guest_signs_out(page: Page) -> None:
    """Sign out in the settings, and confirm the loss of the conversations."""
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("dialog").get_by_role("button", name="Sign out anyway").click()


def variables(route: Route) -> dict[str, Any]:
    """Return the variables of a GraphQL request."""
    return dict(json.loads(route.request.post_data or "{}")["variables"])


@dataclass
class Person:
    """What a person sees and does on the page."""

    url: str
    page: Page
    context: BrowserContext
    problems: list[str] = field(default_factory=list)
    """Errors and warnings that the browser reported."""
    asked: list[str] = field(default_factory=list)
    """The names of the operations that the page sent."""

    async def comes_as_guest(self) -> None:
        """Open the page and enter with one click."""
        await self.page.goto(self.url)
        await self.page.get_by_role("button", name="Continue as guest").first.click()
        await self.page.get_by_role("button", name="Start talking").wait_for()

    async def starts_talking(self) -> str:
        """Click "Start talking", and wait until the agent listens; return the session's id."""
        await self.page.get_by_role("button", name="Start talking").click()
        return await self.is_listened_to()

    async def is_listened_to(self, other_than: str = "") -> str:
        """Wait until a session's agent listens; return the session's id."""
        await self.page.wait_for_url(
            lambda url: SESSION.search(url) is not None and not (other_than and other_than in url)
        )
        await expect(self.state).to_have_text(LISTENS)
        return self.session_id

    @property
    def session_id(self) -> str:
        """The session id in the address."""
        found = SESSION.search(self.page.url)
        assert found is not None, self.page.url
        return found[1]

    @property
    def state(self) -> Locator:
        """The dock's status text."""
        return self.page.locator(".status-text")

    async def sees(self, state: str) -> None:
        """Wait until the dock has shown this state since the page was loaded."""
        await self.page.wait_for_function("state => states.includes(state)", arg=state)

    async def sees_what_is_stored(self, session: str) -> None:
        """Wait until the page shows the same utterances as the server lists."""
        query = f'{{ session(id: "{session}") {{ utterances(first: 100) {{ nodes {{ key }} }} }} }}'
        lines = self.page.locator(".line")
        shown: list[str] = []
        stored = [""]
        # The conversation continues: the server's list may be old by the time the page is read.
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_MS / 1000):
                while shown != stored:
                    answer = await self.query(query)
                    stored = [node["key"] for node in answer["session"]["utterances"]["nodes"]]
                    with suppress(AssertionError):
                        await expect(lines).to_have_count(len(stored), timeout=1000)
                    shown = await lines.evaluate_all("x => x.map(line => line.dataset.key)")
        assert shown == stored

    @property
    def finals(self) -> Locator:
        """The person's final lines."""
        return self.page.locator('.line[data-role="USER"][data-final="true"] .line-text')

    @property
    def lines(self) -> Locator:
        """The text of every line on the page."""
        return self.page.locator(".line-text")

    def line(self, key: str) -> Locator:
        """The line with this key."""
        return self.page.locator(f'.line[data-key="{key}"]')

    @property
    def new_chat(self) -> Locator:
        """The "New chat" button."""
        return self.page.get_by_role("button", name=re.compile("^(New chat|Saving…)$"))

    @property
    def rows(self) -> Locator:
        """The rows of the history."""
        return self.page.locator(".row-link")

    @property
    def answers(self) -> Locator:
        """The agent's final lines."""
        return self.page.locator('.line[data-role="AGENT"][data-final="true"] .line-text')

    @property
    def field(self) -> Locator:
        """The text field for typed lines."""
        return self.page.get_by_label("Type instead of speaking")

    async def is_saying(self, words: str) -> str:
        """Wait until an interim line has started with these words; return its key.

        Pass some 25 letters or more. The beginning is damaged most often ("I'll let's to be rather"
        for "unless to be rather"), and should not be half of what is compared. See `starts_with`.
        """
        return await self._has_lines(words, 1, PATIENCE_MS, is_final=False)

    @asynccontextmanager
    async def answered(self, by: Answering, *, operation: str) -> AsyncIterator[None]:
        """Answer one of the page's operations in place of the server.

        The page's other requests go through.
        """

        async def routed(route: Route) -> None:
            await (by(route) if _operation(route.request) == operation else route.fallback())

        await self.page.route("**/graphql", routed)
        try:
            yield
        finally:
            await self.page.unroute("**/graphql", routed)

    async def types(self, line: str) -> None:
        """Type a line, and wait until it is shown as said."""
        await self.field.fill(line)
        await self.field.press("Enter")
        await expect(self.finals.filter(has_text=line)).to_have_count(1)

    async def says(self, clip: Clip) -> None:
        """Start to speak; only with `speaks_on_demand`."""
        await self.microphone.wait_for()
        await self.page.evaluate("encoded => void say(encoded)", _encoded(clip))

    async def has_said(self, clip: Clip) -> None:
        """Speak, and wait until the clip ends; only with `speaks_on_demand`."""
        await self.microphone.wait_for()
        await self.page.evaluate("encoded => say(encoded)", _encoded(clip))

    @property
    def microphone(self) -> Locator:
        """The microphone button once the microphone is open; an agent may listen before that."""
        return self.page.locator('.microphone:is([data-state="on"], [data-state="muted"])')

    async def hears_himself_say(
        self, words: str, times: int = 1, within_ms: int = PATIENCE_MS
    ) -> str:
        """Wait until these words are there exactly this many times; return the first line's key.

        Pass a whole sentence, or what was said of it. See `starts_with` and `places`.
        """
        return await self._has_lines(words, times, within_ms, is_final=True)

    async def _has_lines(self, words: str, times: int, within_ms: int, *, is_final: bool) -> str:
        seen, keys = "", list[str]()
        try:
            async with asyncio.timeout(within_ms / 1000):
                while len(keys) != times:
                    changed = await self.page.wait_for_function(
                        "before => (now => now !== before && now)(JSON.stringify(window.said()))",
                        arg=seen,
                        timeout=0,
                    )
                    seen = await changed.json_value()
                    lines = [line for line in json.loads(seen) if line["isFinal"] is is_final]
                    if is_final:
                        found = places(words, [line["text"] for line in lines])
                        keys = [lines[place]["key"] for place in found]
                    else:
                        fit = [line for line in lines if starts_with(line["text"], words)]
                        # An unfinished line has had several texts.
                        keys = list({line["key"]: None for line in fit})
        except TimeoutError as error:
            kind = "final" if is_final else "interim"
            raise AssertionError(f"not {times} {kind} with {words!r}, but {seen}") from error
        return keys[0]

    @property
    def focused(self) -> Locator:
        """The focused element, if there is one."""
        return self.page.locator(":focus")

    async def reads(self, session_id: str) -> str:
        """Open a past conversation by its address; return its whole text."""
        await self.page.goto(f"{self.url}/c/{session_id}")
        await expect(self.page.get_by_text("End of the conversation")).to_be_visible()
        return " ".join(await self.lines.all_text_contents())

    async def query(self, document: str) -> Any:
        """Send a query to the server with this browser's login."""
        answer = await self.context.request.post(
            f"{self.url}/graphql",
            data={"query": document},
            headers={"Origin": self.url},
        )
        return (await answer.json())["data"]

    async def axe(self, *rules: str) -> list[str]:
        """Return axe-core's violations of these rules on the current page.

        Without rules, it checks all that are enabled.
        """
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(_axe())
        only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found = await self.page.evaluate(
            "only => axe.run({resultTypes: ['violations'], ...only})", only
        )
        return [
            f"{violation['id']}: {node['html']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


def _encoded(clip: Clip) -> str:
    return base64.b64encode(clip.pcm.tobytes()).decode()


def _axe() -> str:
    root = Path(__file__).resolve().parents[2]
    return (root / "frontend/node_modules/axe-core/axe.min.js").read_text()


VIEWPORT: Final = {"width": 1280, "height": 860}


@asynccontextmanager
async def at_a_browser(
    playwright: Playwright,
    url: str,
    says: Sequence[Clip | float],
    folder: Path,
    *,
    has_microphone: bool = True,
    may_use_microphone: bool = True,
    speaks_on_demand: bool = False,
    flags: Sequence[str] = (),
    **options: Any,
) -> AsyncIterator[Person]:
    """Start a separate browser for one person.

    Only the whole Chromium asks for permissions and has real microphones. It gives one to a page
    that comes over plain http from another machine only if told to trust the page.
    """
    args = [*FLAGS, ALLOWED if may_use_microphone else "--deny-permission-prompts", *flags]
    is_near = urlsplit(url).hostname == "127.0.0.1"
    if speaks_on_demand and not is_near:
        args.append(f"--unsafely-treat-insecure-origin-as-secure={url}")
    if speaks_on_demand:
        args.append(SOUNDS_AT_ONCE)
    if has_microphone:
        args.extend(hearing(folder, _sound(says)))
    context = await playwright.chromium.launch_persistent_context(
        folder / "profile",
        executable_path=WITHOUT_WINDOWS if speaks_on_demand and is_near else CHROMIUM,
        args=args,
        **{"viewport": VIEWPORT, **options},
    )
    async with _somebody(url, context, context.pages[0], speaks_on_demand) as person:
        yield person


@asynccontextmanager
async def in_a_profile(
    chromium: Browser, url: str, *, speaks_on_demand: bool = False, **options: Any
) -> AsyncIterator[Person]:
    """Give one person a separate context in a shared browser."""
    context = await chromium.new_context(**{"viewport": VIEWPORT, **options})
    async with _somebody(url, context, await context.new_page(), speaks_on_demand) as person:
        yield person


@asynccontextmanager
async def _somebody(
    url: str, context: BrowserContext, page: Page, speaks_on_demand: bool
) -> AsyncIterator[Person]:
    await context.add_init_script(STATES)
    await context.add_init_script(LINES)
    if speaks_on_demand:
        await context.add_init_script(MOUTH)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    person = Person(url, page, context)
    _watch(person)
    try:
        yield person
    finally:
        await context.close()
    assert not person.problems, person.problems


def _watch(person: Person) -> None:
    def logged(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not EXPECTED.search(message.text):
            person.problems.append(message.text)

    def requested(request: Request) -> None:
        operation = _operation(request)
        if operation:
            person.asked.append(operation)

    person.context.on("console", logged)
    person.context.on("weberror", lambda error: person.problems.append(str(error.error)))
    person.context.on("request", requested)


def _operation(request: Request) -> str:
    """Return the operation's name; empty if the request has none."""
    found = re.search(r"\b(?:mutation|query) (\w+)", request.post_data or "")
    return found[1] if found else ""


def _sound(says: Sequence[Clip | float]) -> np.ndarray[Any, np.dtype[np.int16]]:
    parts = [
        part.pcm if isinstance(part, Clip) else np.zeros(int(part * RATE), np.int16)
        for part in says
    ]
    return np.concatenate([*parts, np.zeros(RATE, np.int16)])
