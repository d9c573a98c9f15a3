"""The server's side of one `voxql.bridge.v1` connection: one agent in one conversation."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from agent_bridge.protocol import (
    Ack,
    AgentState,
    Bye,
    CloseCode,
    Frame,
    Hello,
    Input,
    InputAck,
    Nack,
    NackCode,
    Ready,
    Stop,
    Utterance,
    Welcome,
)
from agent_bridge.protocol.codes import STOP_FENCED
from agent_bridge.server.handler import BridgeHandler, HelloResult, NotNow, SessionGone
from agent_bridge.server.peer import Hangup, PeerSocket
from agent_bridge.server.tokens import Binding, TokenRefused, Tokens
from hub import events
from hub.events import AgentCommanded, Command, Fence, Gone, agent_topic
from hub.hub import Hub
from hub.subscription import HubSubscription

log = structlog.get_logger(__name__)

MOST_OWED: Final = 1_000
"""Unanswered finals at which reading stops until one is answered."""
MOST_CHORES: Final = 100
FRAMES_IN_A_ROW: Final = 32
"""Frames to take before yielding. Receiving a frame that has arrived never yields, so without this
the task that writes this agent's answers would not run, and it would look like a slow reader."""
UNANSWERED_PER_SECOND: Final = 3_000
"""The most interims and states per second of one agent, hundreds of times what speech needs. Beyond
it, the connection is read more slowly, so that one agent does not delay the others."""
TAKEN_OVER: Final = "a newer attempt has taken over"
NOT_NOW: Final = "this can't be stored just now; please connect again"

Chore = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the steps of a connection may take, in seconds."""

    hello: float
    fence: float
    bye: float


class BridgeConnection:
    """Connects a peer with the handler; `converse` runs the whole connection."""

    def __init__(
        self,
        peer: PeerSocket,
        handler: BridgeHandler,
        tokens: Tokens,
        hub: Hub,
        deadlines: Deadlines,
    ) -> None:
        self._peer = peer
        self._handler = handler
        self._tokens = tokens
        self._hub = hub
        self._deadlines = deadlines
        self._id = secrets.token_hex(16)
        self._is_registered = False
        self._is_current = True
        self._has_left = False
        self._is_stopped = False
        self._owed: set[tuple[str, int]] = set()
        self._due = 0.0
        """When the agent may send at full speed again, by the loop's clock."""
        self._turn = -1
        self._taken = 0
        """Frames that were taken at once in this turn of the loop."""
        self._answered = asyncio.Event()
        # Calls that wait for the database have their own queue, so that speech does not wait.
        self._chores: asyncio.Queue[Chore | None] = asyncio.Queue(MOST_CHORES)

    async def converse(self) -> None:
        """Run the connection to its end.

        Raises:
            Hangup: The server ended the connection.
            PeerGone: The peer closed the connection, or it broke.
        """
        hello = await self._peer.first(self._deadlines.hello)
        assert isinstance(hello, Hello)
        try:
            self._binding = binding = self._tokens.read_bridge(hello.token)
        except TokenRefused as error:
            raise Hangup(CloseCode.UNAUTHENTICATED, str(error)) from error
        with self._hub.subscribe(agent_topic(binding.session)) as subscription:
            self._hub.emit(AgentCommanded(binding.session, Fence(binding.attempt, self._id)))
            found = await self._arrive(binding, frozenset(hello.capabilities))
            await self._attend(binding, found, subscription)

    async def _arrive(self, binding: Binding, capabilities: frozenset[str]) -> HelloResult:
        arriving = asyncio.ensure_future(self._handler.hello(binding, self._id, capabilities))
        try:
            return await asyncio.shield(arriving)
        except SessionGone as error:
            raise Hangup(CloseCode.GONE, "there is no such session any more") from error
        except NotNow as error:
            raise Hangup(CloseCode.INTERNAL, NOT_NOW) from error
        except asyncio.CancelledError:
            # The handler may have registered this agent already, so tell it that the agent is gone.
            await asyncio.wait({arriving})
            if arriving.exception() is None:
                await self._handler.disconnected(binding, self._id)
            raise

    async def _attend(
        self, binding: Binding, found: HelloResult, subscription: HubSubscription
    ) -> None:
        chores = asyncio.create_task(self._do_chores())
        following: asyncio.Task[None] | None = None
        try:
            self._greet(binding, found)
            following = asyncio.create_task(self._follow(subscription))
            while True:
                await self._listen()
        finally:
            if following is not None:
                following.cancel()
            await self._chores.put(None)
            await chores
            if not self._has_left:
                await self._handler.disconnected(binding, self._id)

    async def _listen(self) -> None:
        """Take some frames, then yield to other tasks; for longer if this agent floods."""
        for _ in range(FRAMES_IN_A_ROW):
            await self._take(await self._peer.receive(self._take_at_once))
        await asyncio.sleep(max(0.0, self._due - asyncio.get_running_loop().time()))

    def _take_at_once(self, frame: Frame) -> bool:
        """Take a frame if there is nothing to wait for; return whether it was taken."""
        if self._must_wait():
            return False
        match frame:
            case Utterance():
                self._hear(frame)
            case AgentState():
                self._note(frame)
            case _:
                return False
        self._taken += 1
        return True

    def _must_wait(self) -> bool:
        """Whether the agent waits: for answers, for others' frames, or because it is too fast."""
        turn = self._hub.ticks.now()
        if turn != self._turn:
            self._turn, self._taken = turn, 0
        ahead = self._due - asyncio.get_running_loop().time()
        return (
            self._taken >= FRAMES_IN_A_ROW
            or len(self._owed) >= MOST_OWED
            or ahead > FRAMES_IN_A_ROW / UNANSWERED_PER_SECOND
        )

    def _greet(self, binding: Binding, found: HelloResult) -> None:
        self._peer.send(Welcome(binding.session, binding.attempt, found.is_current))
        if not found.is_current:
            self._fence()
            return
        if found.stop_reason is not None:
            self._is_stopped = True
            self._peer.send(Stop(found.stop_reason))
        for line in found.inputs:
            self._peer.send(line)

    async def _take(self, frame: Frame) -> None:
        binding, handler = self._binding, self._handler
        match frame:
            case Utterance():
                self._hear(frame)
                while len(self._owed) >= MOST_OWED:
                    self._answered.clear()
                    await self._answered.wait()
            case AgentState():
                self._note(frame)
            case Ready() if self._is_current:
                await self._chores.put(partial(handler.ready, binding, self._id))
            case InputAck():
                await self._chores.put(partial(handler.input_ack, binding, frame.key))
            case Bye():
                await self._leave(frame.reason)

    def _hear(self, utterance: Utterance) -> None:
        segment, revision = utterance.segment, utterance.revision
        if utterance.final:
            self._owed.add((segment, revision))
        else:
            self._count_unanswered()
            if not self._is_current:
                nack = Nack(segment, revision, NackCode.FENCED.value, TAKEN_OVER, terminal=True)
                self._peer.send(nack)
                return
        self._handler.utterance(self._binding, self._id, utterance, self._reply)

    def _note(self, frame: AgentState) -> None:
        self._count_unanswered()
        if self._is_current:
            self._handler.agent_state(self._binding, self._id, frame.state)

    def _count_unanswered(self) -> None:
        now = asyncio.get_running_loop().time()
        self._due = max(now, self._due) + 1 / UNANSWERED_PER_SECOND

    def _reply(self, answer: Ack | Nack) -> None:
        self._owed.discard((answer.segment, answer.revision))
        self._answered.set()
        self._peer.send(answer)

    async def _leave(self, reason: str) -> None:
        try:
            async with asyncio.timeout(self._deadlines.bye):
                while self._owed:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            log.warning("bye before every answer", session=self._binding.session)
        self._has_left = True
        await self._chores.put(partial(self._handler.bye, self._binding, self._id, reason))
        await self._chores.join()
        raise Hangup(CloseCode.DONE, "good bye")

    async def _do_chores(self) -> None:
        while (chore := await self._chores.get()) is not None:
            try:
                await chore()
            except NotNow:
                self._peer.end(CloseCode.INTERNAL, NOT_NOW)
            # A fault of the handler ends this connection, not the queue.
            except Exception:
                log.exception("handler failed", session=self._binding.session)
                self._peer.end(CloseCode.INTERNAL, "a fault of the server; it has been logged")
            finally:
                self._chores.task_done()

    async def _follow(self, subscription: HubSubscription) -> None:
        while True:
            try:
                event = await subscription.get()
            except Exception:
                log.exception("commands lost", session=self._binding.session)
                self._peer.end(CloseCode.INTERNAL, "commands to you were lost; connect again")
                return
            assert isinstance(event, AgentCommanded), "the topic carries nothing else"
            self._obey(event.command)

    def _obey(self, command: Command) -> None:
        match command:
            case Fence(attempt) if attempt > self._binding.attempt:
                self._fence()
            case Fence(connection=connection) if connection == self._id:
                self._is_registered = True
            case Fence(attempt, connection) if attempt == self._binding.attempt and connection:
                # The order on the topic decides: a fence after our own comes from a newer
                # connection; one before it is older, although it may reach us only now.
                if self._is_registered:
                    self._peer.end(CloseCode.FENCED, "another connection has taken this place")
            case Gone():
                self._peer.end(CloseCode.GONE, "the session has been deleted")
            case events.Stop(reason) if not self._is_stopped:
                self._is_stopped = True
                self._peer.send(Stop(reason))
            case events.Input(key, text) if self._is_current:
                self._peer.send(Input(key, text))

    def _fence(self) -> None:
        if not self._is_current:
            return
        self._is_current = False
        self._peer.send(Stop(STOP_FENCED))
        asyncio.get_running_loop().call_later(
            self._deadlines.fence,
            self._peer.end,
            CloseCode.FENCED,
            TAKEN_OVER,
        )
