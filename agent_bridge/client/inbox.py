"""Queues the server's commands, each once, and tracks which typed lines have been handled."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InputCommand:
    """A line that the person typed; the next agent gets it again unless it is acknowledged."""

    key: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StopCommand:
    """Finish and say bye."""

    reason: str
    is_terminal: bool = False
    """Whether the server has closed for good: nothing can be sent, and no command follows."""


Command = InputCommand | StopCommand


class Inbox:
    """Delivers each typed line once; the server resends it on each welcome until it is acked."""

    def __init__(self, ack_due: Callable[[], None]) -> None:
        self._ack_due = ack_due
        self._commands: asyncio.Queue[Command | None] = asyncio.Queue()
        self._taken: list[str] = []
        # By key of a received line: whether it has been handled.
        self._inputs: dict[str, bool] = {}
        self._stops: set[str] = set()
        self._acks: dict[str, None] = {}

    async def get(self, *, auto_ack: bool) -> Command | None:
        """Wait for the next command; None, every time, once there are no more.

        With `auto_ack`, a line is acknowledged when the next command is asked for.
        """
        self.acknowledge_taken()
        command = await self._commands.get()
        if command is None:
            self.close()
        elif auto_ack and isinstance(command, InputCommand):
            self._taken.append(command.key)
        return command

    def acknowledge(self, key: str) -> None:
        """Mark this line as handled."""
        if self._inputs.get(key) is False:
            self._inputs[key] = True
            self._acks[key] = None
            self._ack_due()

    def acknowledge_taken(self) -> None:
        """Mark the lines that were handed out with `auto_ack` as handled."""
        for key in self._taken:
            self.acknowledge(key)
        self._taken.clear()

    def next_ack(self) -> str | None:
        """Return the key of a line to acknowledge, if there is one."""
        if not self._acks:
            return None
        key = next(iter(self._acks))
        del self._acks[key]
        return key

    def typed(self, key: str, text: str) -> None:
        """Take a line from the server, which may have sent it before."""
        if key not in self._inputs:
            self._inputs[key] = False
            self._commands.put_nowait(InputCommand(key, text))
        elif self._inputs[key]:
            # The acknowledgement was lost with a connection.
            self._acks[key] = None
            self._ack_due()

    def stopped(self, reason: str, *, is_terminal: bool = False) -> None:
        """Take a stop from the server; a repeated reason is ignored unless it is terminal."""
        if is_terminal or reason not in self._stops:
            self._stops.add(reason)
            self._commands.put_nowait(StopCommand(reason, is_terminal))

    def close(self) -> None:
        """End every wait for another command."""
        self._commands.put_nowait(None)
