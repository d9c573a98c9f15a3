"""Subscribers that follow the client's rule for revisions and check every event."""

import asyncio
import json
import random
from base64 import urlsafe_b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.faults.clients.journal import Journal, Kind
from tests.graphql_socket import SubscriptionRefused, subscribe

QUERY: Final = """
subscription Watch($session: ID!, $after: String) {
  transcripts(sessionId: $session, after: $after) {
    cursor isCaughtUp end { reason mayResume }
    utterances {
      id key revision role speaker source text isFinal isInterrupted sortKey position
      language confidence startedAt endedAt
    }
  }
}
"""
UPDATES: Final = """
subscription Updates($session: ID!) {
  sessionUpdates(sessionId: $session) {
    session { version } deletedSessionId end { reason mayResume }
  }
}
"""
GONE: Final = frozenset({"NOT_FOUND", "FORBIDDEN"})
PASSING: Final = (OSError, WebSocketException, TimeoutError, EOFError)
"""What a server that is away raises."""


@dataclass(slots=True)
class Held:
    """One utterance as a subscriber holds it."""

    state: dict[str, Any]
    event: int
    """The number of the event that brought this revision."""


@dataclass
class Watcher:
    """A subscriber of one session that resumes with its cursor after each disconnect."""

    journal: Journal
    url: str
    token: str
    session: str
    rng: random.Random
    held: dict[str, Held] = field(default_factory=dict)
    cursor: str | None = None
    reached: list[tuple[int, int]] = field(default_factory=list)
    """(event number, seq of its cursor) for each event that moved the cursor."""
    events: int = 0
    ended: str | None = None
    """Why the stream ended for good."""
    version: int = 0
    """The session's version when its transcript was read after the end."""
    is_caught_up: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def seq(self) -> int:
        return self.reached[-1][1] if self.reached else 0

    @property
    def _has_ended(self) -> bool:
        return self.ended is not None

    async def run(self) -> None:
        """Watch until nothing more can come; after the session's end, watch its version."""
        while self.ended in (None, "SESSION_ENDED"):
            with suppress(*PASSING):
                if self.ended is None:
                    await self._once(cut_after=self._moment_to_cut())
                else:
                    await self._await_late_words()
            self.is_caught_up = False
            await asyncio.sleep(self.rng.random() * 0.2)

    async def _await_late_words(self) -> None:
        """Resume from the cursor whenever the ended session has a new version."""
        variables = {"session": self.session}
        try:
            async with subscribe(self.url, self.token, UPDATES, variables) as events:
                async for payload in events:
                    update = payload["data"]["sessionUpdates"]
                    if update["deletedSessionId"] is not None:
                        self.ended = "SESSION_DELETED"
                    if update["session"] is None:
                        return
                    if update["session"]["version"] == self.version:
                        continue
                    self.journal.counts["ended sessions read again"] += 1
                    self.ended, self.is_caught_up = None, False
                    await self._once(cut_after=None)
                    if not self._has_ended:
                        return
                    self.version = update["session"]["version"]
        except SubscriptionRefused as refused:
            self._refused(refused)

    async def catch_up(self) -> None:
        """Subscribe one last time, until everything is delivered."""
        if self.ended == "SESSION_DELETED":
            return
        self.ended = None
        async with asyncio.timeout(30):
            await self._once(cut_after=None, until_caught_up=True)

    def _moment_to_cut(self) -> int | None:
        """Return the number of events after which to drop the connection, or usually None."""
        return self.rng.randint(1, 200) if self.rng.random() < 0.2 else None

    async def _once(self, cut_after: int | None, *, until_caught_up: bool = False) -> None:
        self.journal.counts["subscriptions"] += 1
        variables = {"session": self.session, "after": self.cursor}
        try:
            async with subscribe(self.url, self.token, QUERY, variables) as events:
                async for payload in events:
                    self._take(payload)
                    if cut_after is not None:
                        cut_after -= 1
                    if cut_after == 0 or (until_caught_up and self.is_caught_up):
                        return
        except SubscriptionRefused as refused:
            self._refused(refused)
        except ConnectionClosed:
            return

    def _refused(self, refused: SubscriptionRefused) -> None:
        code = refused.errors[0]["extensions"]["code"]
        if self.journal.is_passing(refused.errors[0]):
            return
        if code in GONE:
            self.ended = "SESSION_DELETED"
        elif code == "BAD_USER_INPUT":
            self.ended = "CURSOR_REFUSED"
            self.journal.violated(
                Kind.UNCOMMITTED,
                f"{self.session}: the cursor after {self.seq} is refused: {refused}",
            )
        else:
            self.journal.violated(Kind.FAULT, f"{self.session}: {code}: {refused}")
        self.changed.set()

    def _take(self, payload: dict[str, Any]) -> None:
        if payload.get("errors") and self.journal.is_passing(payload["errors"][0]):
            return
        if payload.get("errors"):
            self.journal.violated(Kind.FAULT, f"{self.session}: {payload['errors'][0]}")
            return
        event = payload["data"]["transcripts"]
        self.events += 1
        self.journal.counts["events"] += 1
        self._follow(event)
        for state in event["utterances"]:
            self._hold(state)
        self.is_caught_up = event["isCaughtUp"]
        if event["end"] is not None and not event["end"]["mayResume"]:
            self.ended = event["end"]["reason"]
        self.changed.set()
        self.journal.changed()

    def _follow(self, event: dict[str, Any]) -> None:
        """Check that the cursor never goes back and, live, skips nothing not in its event."""
        self.cursor = event["cursor"]
        seq = seq_of(event["cursor"], self.session)
        step = seq - self.seq
        if step < 0:
            self.journal.violated(Kind.HOLE, f"{self.session}: cursor from {self.seq} to {seq}")
        # Of several servers, events may be lost; what they said is read from the database.
        is_live = self.is_caught_up and event["isCaughtUp"] and not self.journal.of_several
        if step > 0 and is_live:
            # Utterances held in a newer state are not sent again; they are not final then.
            may_lack = sum(not held.state["isFinal"] for held in self.held.values())
            # A row committed twice meanwhile is sent once when it is read from the database.
            may_lack += sum(
                state["id"] not in self.held and state["revision"] > 1
                for state in event["utterances"]
            )
            if step > len(event["utterances"]) + may_lack:
                self.journal.violated(
                    Kind.HOLE,
                    f"{self.session}: cursor from {self.seq} to {seq} "
                    f"with {len(event['utterances'])} utterances",
                )
        if step > 0:
            self.reached.append((self.events, seq))

    def _hold(self, state: dict[str, Any]) -> None:
        """Apply the client's rule: keep the state with the higher revision."""
        self.journal.seen(state["id"], state["revision"], _content(state))
        held = self.held.get(state["id"])
        if held is None or state["revision"] > held.state["revision"]:
            if held is not None and held.state["isFinal"] and not state["isFinal"]:
                self.journal.violated(Kind.ALTERED, f"{state['id']}: a final became an interim")
            self.held[state["id"]] = Held(state, self.events)

    def event_of(self, seq: int) -> int | None:
        """Return the number of the first event whose cursor covers this seq."""
        return next((event for event, reached in self.reached if reached >= seq), None)


def seq_of(cursor: str, session: str) -> int:
    """Decode a cursor; only this checker may do that."""
    padded = cursor + "=" * (-len(cursor) % 4)
    _, owner, seq = urlsafe_b64decode(padded).decode().split(":")
    assert owner == session, "a cursor of another session"
    return int(seq)


def _content(state: dict[str, Any]) -> str:
    return json.dumps(state, sort_keys=True)
