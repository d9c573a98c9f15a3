"""Users with browsers: they start, rename, save, delete, type, and try what is refused."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from tests.faults.clients.account import (
    BEGIN,
    DELETE,
    RENAME,
    RETRY,
    SAVE,
    TYPE,
    Account,
    Refused,
)
from tests.faults.clients.journal import Conversation, Journal, Kind, Reported
from tests.faults.clients.watchers import Watcher

AWAY_S: Final = 4.0
"""Twice the grace period of the servers under test, so that some agents come back after it."""


@dataclass
class Person:
    """A user who has one conversation after another."""

    account: Account
    stranger: Account
    journal: Journal
    rng: random.Random
    watch: Callable[[Account, str], Watcher]
    cut: Callable[[str, float], bool]
    """Breaks the connection of a session's agent for that many seconds."""
    stay: tuple[float, float] = (2.0, 7.0)
    """Minimum and maximum seconds that a conversation lasts."""
    knows_every_agent: bool = True
    """Whether the server knows all agents; of several servers, each knows its own."""
    is_leaving: asyncio.Event = field(default_factory=asyncio.Event)
    now: Conversation | None = None
    watcher: Watcher | None = None

    async def run(self) -> None:
        """Talk until told to leave; the last conversation stays open."""
        await self._begin(None)
        while not self.is_leaving.is_set():
            await self._stay()
            if self.is_leaving.is_set():
                break
            await self.rng.choices([self._move_on, self._save_first, self._delete], [6, 2, 2])[0]()

    async def _stay(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.rng.uniform(*self.stay)
        while loop.time() < until and not self.is_leaving.is_set():
            await self._pause(self.rng.uniform(0.1, 0.8))
            if not self._hears():
                await self._retry()
            acts = [self._rename, self._type, self._provoke, self._lose_agent, self._nothing]
            await self.rng.choice(acts)()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.is_leaving.wait()
        except TimeoutError:
            return

    def _hears(self) -> bool:
        """Whether the watcher received anything since the last call."""
        assert self.watcher is not None
        self.watcher.changed, was = asyncio.Event(), self.watcher.changed
        return was.is_set()

    async def _nothing(self) -> None:
        return None

    async def _lose_agent(self) -> None:
        """Cut the agent's connection; it comes back within the grace period or after it."""
        assert self.now is not None
        self.cut(self.now.id, self.rng.uniform(0, AWAY_S))

    async def _perhaps_lose_agent(self) -> None:
        """Sometimes cut the agent before the end, while it still has something to say."""
        if self.rng.random() < 0.4:
            await self._lose_agent()
            await self._pause(self.rng.uniform(0, 0.5))

    # ------------------------------------------------------------------ what is allowed

    async def _begin(self, previous: dict[str, Any] | None) -> None:
        key = uuid4().hex
        given: dict[str, Any] = {"idempotencyKey": key, "title": f"Talk {key[:8]}"}
        if previous is not None:
            given["previous"] = previous
        begun = await self.account.ask(BEGIN, given)
        session = begun["session"]["id"]
        self.journal.started_keys[key] = session
        self.journal.counts["sessions"] += 1
        self.now = self.journal.conversation(session, self.account.token)
        self.now.owner = self.account.token
        self.now.title = given["title"]
        self.watcher = self.watch(self.account, session)

    async def _move_on(self) -> None:
        await self._perhaps_lose_agent()
        report, given = self._report()
        await self._begin(given)
        report.is_answered = True

    async def _save_first(self) -> None:
        await self._perhaps_lose_agent()
        report, given = self._report()
        await self.account.ask(SAVE, given)
        report.is_answered = True
        # The agent may still be speaking: its words are kept, and so is what is saved again.
        report, given = self._report()
        await self._begin(given)
        report.is_answered = True

    async def _delete(self) -> None:
        assert self.now is not None
        try:
            await self.account.ask(DELETE, {"sessionId": self.now.id})
        except Refused as refused:
            # The first try succeeded, but its answer was lost.
            if refused.code != "NOT_FOUND":
                raise
        self.now.is_deleted = True
        self.journal.counts["sessions deleted"] += 1
        await self._begin(None)

    async def _rename(self) -> None:
        assert self.now is not None
        title = f"Title {self.rng.random()}"
        await self.account.ask(RENAME, {"sessionId": self.now.id, "title": title})
        self.now.title = title

    async def _type(self) -> None:
        assert self.now is not None
        key, text = f"typed-{uuid4().hex}", f"I typed this {self.rng.random()} ✍"
        self.now.typed_perhaps[key] = text
        given = {"sessionId": self.now.id, "key": key, "text": text}
        try:
            await self.account.ask(TYPE, given)
        except Refused as refused:
            # The session is not ACTIVE now; an earlier try may or may not have been stored.
            if refused.code != "CONFLICT":
                raise
            return
        self.now.typed[key] = text

    async def _retry(self) -> None:
        assert self.now is not None
        try:
            await self.account.ask(RETRY, {"sessionId": self.now.id})
        except Refused as refused:
            if refused.code != "CONFLICT":
                raise

    def _report(self) -> tuple[Reported, dict[str, Any]]:
        """Build a report: some of what the client holds, some changed, and messages of its own."""
        assert self.now is not None
        assert self.watcher is not None
        # By key, because a broken server may show two utterances under the same one.
        states = {held.state["key"]: held.state for held in self.watcher.held.values()}
        held = sorted(states.values(), key=lambda state: state["sortKey"])
        start = self.rng.randint(0, max(0, len(held) - 40))
        now = datetime.now(UTC).isoformat()
        messages = [
            {
                "key": state["key"],
                "role": state["role"],
                "text": state["text"] if self.rng.random() < 0.9 else f"mine: {self.rng.random()}",
                "timestamp": now,
                "isFinal": state["isFinal"],
            }
            for state in held[start : start + 40]
        ]
        for _ in range(self.rng.randint(0, 3)):
            messages.insert(
                self.rng.randint(0, len(messages)),
                {
                    "key": f"own-{uuid4().hex}",
                    "role": "USER",
                    "text": f"only I heard {self.rng.random()}",
                    "timestamp": now,
                    "isFinal": self.rng.random() < 0.8,
                },
            )
        report = Reported(
            [str(message["key"]) for message in messages],
            {str(message["key"]): {str(message["text"])} for message in messages},
        )
        self.now.reports.append(report)
        return report, {"sessionId": self.now.id, "messages": messages}

    # ------------------------------------------------------------------ what is refused

    async def _provoke(self) -> None:
        """Try something that must be refused and leave no trace."""
        assert self.now is not None
        text = f"NEVER {self.rng.random()}"
        self.journal.forbidden.append(text)
        session = self.now.id
        when = datetime.now(UTC).isoformat()
        good = {"key": "never-1", "role": "USER", "text": text, "timestamp": when}
        bad = {**good, "key": "never-2", "text": "  "}
        mine, foreign = self.account, self.stranger
        tries: list[Callable[[], Awaitable[dict[str, Any]]]] = [
            lambda: mine.ask(SAVE, {"sessionId": session, "messages": [good, bad]}),
            lambda: mine.ask(SAVE, {"sessionId": session, "messages": [good, good]}),
            lambda: mine.ask(RENAME, {"sessionId": session, "title": text + "x" * 200}),
            lambda: mine.ask(
                BEGIN,
                {"title": text, "previous": {"sessionId": session, "messages": [good, bad]}},
            ),
            lambda: mine.ask(TYPE, {"sessionId": session, "key": "never-3", "text": text + "\0"}),
            lambda: foreign.ask(RENAME, {"sessionId": session, "title": text}),
            lambda: foreign.ask(SAVE, {"sessionId": session, "messages": [good]}),
            lambda: foreign.ask(TYPE, {"sessionId": session, "key": "never-4", "text": text}),
            lambda: foreign.ask(DELETE, {"sessionId": session}),
        ]
        if self.knows_every_agent:
            nobody = {"title": text, "agentName": "nobody-of-that-name"}
            tries.append(lambda: mine.ask(BEGIN, nobody))
        if self.now.typed:
            key = self.rng.choice(list(self.now.typed))
            tries.append(lambda: mine.ask(TYPE, {"sessionId": session, "key": key, "text": text}))
        if self.journal.started_keys:
            used = next(k for k, s in self.journal.started_keys.items() if s == session)
            tries.append(lambda: mine.ask(BEGIN, {"idempotencyKey": used, "title": text}))
        try:
            await self.rng.choice(tries)()
        except Refused as refused:
            self.journal.counts[f"refused {refused.code}"] += 1
        else:
            self.journal.violated(Kind.TRACE, f"{session}: what had to be refused was taken")
