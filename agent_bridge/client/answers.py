"""Maps the states of a livekit-agents agent, and tracks which typed lines it has answered."""

from collections.abc import Callable
from typing import Any, Final

from ..protocol import State

STATES: Final[dict[str, State]] = {
    "initializing": "INITIALIZING",
    "idle": "LISTENING",
    "listening": "LISTENING",
    "thinking": "THINKING",
    "speaking": "SPEAKING",
}
"""The bridge's states, by the states of livekit-agents."""
GOES_ON = frozenset({"thinking", "speaking"})
"""States that show that the agent's conversation goes on."""


class Answers:
    """Keeps typed lines open until they are answered, so that another agent can take them over.

    An interrupted answer counts as given. But an answer also looks interrupted if the agent itself
    ends, and closing a session may even produce a last final of the person. So a line whose answer
    was interrupted stays open until the agent's next answer, which shows that it is still there. A
    failed answer counts as given too: the next agent would only fail again.

    Args:
        acknowledge: Called with the key of each answered line.
        cuts: Returns how many replies were cut off so far that livekit-agents took for complete.
    """

    def __init__(
        self, acknowledge: Callable[[str], None], cuts: Callable[[], int] = lambda: 0
    ) -> None:
        self._acknowledge = acknowledge
        self._cuts = cuts
        self._cut_off: list[str] = []
        self._given: set[str] = set()

    def expect(self, key: str, speech: Any) -> None:
        """Note that this `SpeechHandle` answers the line with this key."""
        self._go_on()
        before = self._cuts()
        speech.add_done_callback(lambda done: self._on_done(key, done, before))

    def given(self, key: str) -> None:
        """Acknowledge a line before its `SpeechHandle` is done: its answer can already be read."""
        self._given.add(key)
        self._acknowledge(key)

    def on_state(self, state: str) -> None:
        """Note the agent's state, as livekit-agents names it."""
        if state in GOES_ON:
            self._go_on()

    def _go_on(self) -> None:
        for key in self._cut_off:
            self._acknowledge(key)
        self._cut_off.clear()

    def _on_done(self, key: str, speech: Any, cuts_before: int) -> None:
        if key in self._given:
            self._given.remove(key)
        elif speech.interrupted or self._cuts() > cuts_before:
            self._cut_off.append(key)
        else:
            self._acknowledge(key)
