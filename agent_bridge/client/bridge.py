"""The agent's side of one conversation: reports utterances, and loses no final on the way."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from websockets.exceptions import ConnectionClosedOK

from ..protocol import (
    BRIDGE_DIALECT,
    Ack,
    AgentState,
    Bye,
    Frame,
    Hello,
    Input,
    InputAck,
    Nack,
    NackCode,
    Ready,
    State,
    Stop,
    Unacceptable,
    Utterance,
    Welcome,
    encode,
    fault_of_utterance,
)
from ..protocol.limits import is_key
from .inbox import Command, Inbox, InputCommand, StopCommand
from .link import Backoff, BridgeClosed, Line, Link
from .outbox import Outbox

__all__ = ["BridgeClient", "Command", "InputCommand", "StopCommand", "new_segment"]

log = logging.getLogger(__name__)

RESEND_SECONDS: Final = 1.0
"""Pause before resending an utterance that the server could not take."""
BYE_SECONDS: Final = 2.0
"""How long the server may take to answer a bye once every final is settled."""
LONG_TEXT: Final = 8_000
"""Characters; only a longer text can exceed the frame limit, however JSON escapes it."""


def new_segment() -> str:
    """Make a segment id: random, never a counter (see the protocol)."""
    return f"seg_{secrets.token_hex(16)}"


class BridgeClient:
    """One agent in one conversation; use it from one event loop, inside `async with`.

    `on_dropped(utterance, code)` is called for each utterance that the server rejected for good,
    and for each final still unsettled when the server closed for good or `bye` gave up. Leaving the
    `async with` block says `bye`, unless it raises.
    """

    def __init__(
        self,
        url: str,
        token: str,
        capabilities: Iterable[str] = (),
        *,
        on_dropped: Callable[[Utterance, str], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._hello = Hello(token, tuple(capabilities))
        self._link = Link(url, BRIDGE_DIALECT, backoff)
        self._on_dropped = on_dropped
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self._inbox = Inbox(self._wake.set)
        self._state: State | None = None
        self._bye: str | None = None
        self._wants_ready = self._ready_due = self._state_due = False
        self._changed = asyncio.Event()
        self._said_ready = self._said_bye = False
        self._running: asyncio.Task[None] | None = None
        self._is_leaving = False
        self.closed: BridgeClosed | None = None
        """Why the server rejects this client for good, if it does."""
        self.welcome: Welcome | None = None
        """Session and attempt, once connected."""

    async def __aenter__(self) -> Self:
        """Start connecting without waiting; `ready` waits until it has worked."""
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._is_leaving:
                await self.bye("LEFT")
        finally:
            await self._end()

    @property
    def unsettled(self) -> int:
        """How many finals are not settled."""
        return self._outbox.finals

    async def ready(self) -> None:
        """Say that the agent can hear and answer; wait until that has been sent.

        Raises:
            BridgeClosed: The server rejects this client for good.
        """
        self._wants_ready = self._ready_due = True
        self._wake.set()
        await self._until(lambda: self._said_ready)
        if self.closed is not None:
            raise self.closed

    def state(self, state: State) -> None:
        """Report what the agent is doing; never waits."""
        self._state, self._state_due = state, True
        self._wake.set()

    def utter(self, utterance: Utterance) -> None:
        """Report an interim or final utterance; never waits.

        Drops blank text, and an interim that comes after a newer one or after its final.

        Raises:
            ValueError: The server would reject it; see the limits of the protocol.
        """
        if self.closed is not None or self._is_leaving:
            log.warning("an utterance came after the end of the conversation")
            self._drop(utterance, "CLOSED")
            return
        if not utterance.text.strip():
            return
        _check(utterance)
        if self._outbox.put(utterance):
            self._wake.set()

    async def commands(self, *, auto_ack: bool = True) -> AsyncIterator[Command]:
        """Yield the server's commands until it has closed for good or this side has left.

        Until a typed line is acknowledged, the next agent gets it again. Asking for the next
        command acknowledges it, and so does `bye`. With `auto_ack=False` only `acknowledge` does,
        for an agent that takes more commands while it answers.
        """
        while (command := await self._inbox.get(auto_ack=auto_ack)) is not None:
            yield command

    def acknowledge(self, key: str) -> None:
        """Say that the typed line with this key has been handled; never waits."""
        self._inbox.acknowledge(key)

    async def bye(self, reason: str, timeout: float = 10.0) -> bool:
        """Wait until every final is settled, say bye and close; return False if some were left."""
        self._is_leaving = True
        self._inbox.acknowledge_taken()
        try:
            async with asyncio.timeout(timeout):
                await self._until(lambda: not self._outbox.finals)
        except TimeoutError:
            log.warning("leaving although %d finals are not settled", self._outbox.finals)
        is_drained = self.closed is None and not self._outbox.finals
        self._bye = reason
        self._wake.set()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=BYE_SECONDS)
        await self._end()
        return is_drained

    async def _end(self) -> None:
        self._is_leaving = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._inbox.close()
        for utterance in self._outbox.drop():
            self._drop(utterance, "CLOSED")

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition() and self.closed is None:
            self._changed.clear()
            await self._changed.wait()

    async def _run(self) -> None:
        try:
            await self._link.run(self._converse)
        except BridgeClosed as closed:
            self.closed = closed
            log.warning("the server closed for good: %s", closed.code.name)
            for utterance in self._outbox.drop():
                self._drop(utterance, closed.code.name)
            self._inbox.stopped(closed.code.name, is_terminal=True)
        finally:
            self._inbox.close()
            self._changed.set()

    async def _converse(self, line: Line) -> None:
        welcome = await line.greet(self._hello)
        assert isinstance(welcome, Welcome)
        self.welcome = welcome
        self._outbox.resend()
        self._ready_due = self._wants_ready
        self._state_due = self._state is not None
        try:
            await line.converse(self._read(line), self._write(line))
        except ConnectionClosedOK:
            # This answers our bye. Without a bye, it is a broken connection.
            if not self._said_bye:
                raise

    async def _write(self, line: Line) -> None:
        while True:
            frame = self._next()
            if frame is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await line.send(frame)
            if isinstance(frame, Ready):
                self._said_ready = True
                self._changed.set()
            elif isinstance(frame, Bye):
                self._said_bye = True
                # The server closes after its last answer, which `_read` notices.
                await asyncio.Event().wait()

    def _next(self) -> Frame | None:
        if self._ready_due:
            self._ready_due = False
            return Ready()
        if self._state_due and self._state is not None:
            self._state_due = False
            return AgentState(self._state)
        if key := self._inbox.next_ack():
            return InputAck(key)
        if utterance := self._outbox.take():
            return utterance
        return Bye(self._bye) if self._bye is not None else None

    async def _read(self, line: Line) -> None:
        while True:
            match await line.receive():
                case Ack(segment, revision):
                    self._outbox.settle(segment, revision)
                    self._changed.set()
                case Nack() as nack:
                    self._refused(nack)
                case Input(key, text):
                    self._inbox.typed(key, text)
                case Stop(reason):
                    self._inbox.stopped(reason)

    def _refused(self, nack: Nack) -> None:
        if not nack.terminal:
            loop = asyncio.get_running_loop()
            loop.call_later(RESEND_SECONDS, self._again, nack.segment)
        elif utterance := self._outbox.settle(nack.segment, nack.revision):
            log.warning("the server refused an utterance: %s", nack.code)
            self._drop(utterance, nack.code)
            self._changed.set()

    def _again(self, segment: str) -> None:
        self._outbox.again(segment)
        self._wake.set()

    def _drop(self, utterance: Utterance, code: str) -> None:
        if self._on_dropped is not None:
            self._on_dropped(utterance, code)


def _check(utterance: Utterance) -> None:
    segment, revision = utterance.segment, utterance.revision
    if not is_key(segment):
        raise ValueError("a segment is a string of 1 to 128 printable characters")
    for moment in (utterance.started_at, utterance.ended_at):
        if moment is not None and moment.tzinfo is None:
            raise Unacceptable(segment, revision, NackCode.BAD_TIMESTAMP, "times must be aware")
    if fault := fault_of_utterance(utterance, datetime.now(UTC)):
        raise Unacceptable(segment, revision, *fault)
    if len(utterance.text) > LONG_TEXT:
        encode(utterance)
