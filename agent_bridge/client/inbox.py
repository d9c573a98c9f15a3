"""What the server wants of an agent, each thing once, and which typed lines are taken care of."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InputCommand:
    """The person typed this; a new agent gets it again unless it is acknowledged."""

    key: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StopCommand:
    """Finish and say bye."""

    reason: str
    is_terminal: bool = False
    """The server has closed for good: nothing can be sent any more, and no command follows."""


Command = InputCommand | StopCommand


class Inbox:
    """The server hands a typed line over on each welcome until it has the acknowledgement."""

    def __init__(self, ack_due: Callable[[], None]) -> None:
        self._ack_due = ack_due
        self._commands: asyncio.Queue[Command | None] = asyncio.Queue()
        self._taken: list[str] = []
        # Keys of the typed lines that have come, and whether they have been taken care of.
        self._inputs: dict[str, bool] = {}
        self._stops: set[str] = set()
        self._acks: dict[str, None] = {}

    async def get(self, *, auto_ack: bool) -> Command | None:
        """Wait for the next command; None, again and again, when there will be no more.

        With `auto_ack`, a line is acknowledged as soon as more is asked for.
        """
        self.acknowledge_taken()
        command = await self._commands.get()
        if command is None:
            self.close()
        elif auto_ack and isinstance(command, InputCommand):
            self._taken.append(command.key)
        return command

    def acknowledge(self, key: str) -> None:
        """Count this line as taken care of."""
        if self._inputs.get(key) is False:
            self._inputs[key] = True
            self._acks[key] = None
            self._ack_due()

    def acknowledge_taken(self) -> None:
        """Count the lines that were handed out with `auto_ack` as taken care of."""
        for key in self._taken:
            self.acknowledge(key)
        self._taken.clear()

    def next_ack(self) -> str | None:
        """Return the key of a line whose acknowledgement is to be sent."""
        if not self._acks:
            return None
        key = next(iter(self._acks))
        del self._acks[key]
        return key

    def typed(self, key: str, text: str) -> None:
        """Note what the server handed over, perhaps again."""
        if key not in self._inputs:
            self._inputs[key] = False
            self._commands.put_nowait(InputCommand(key, text))
        elif self._inputs[key]:
            # The acknowledgement was lost with a connection.
            self._acks[key] = None
            self._ack_due()

    def stopped(self, reason: str, *, is_terminal: bool = False) -> None:
        """Note that the server wants an end; the same reason is told once."""
        if is_terminal or reason not in self._stops:
            self._stops.add(reason)
            self._commands.put_nowait(StopCommand(reason, is_terminal))

    def close(self) -> None:
        """Let nobody wait for another command."""
        self._commands.put_nowait(None)
