"""What an agent made with livekit-agents does, and the typed lines that it has answered."""

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
"""What the bridge calls the states of an agent of livekit-agents."""
GOES_ON = frozenset({"thinking", "speaking"})
"""States of an agent whose conversation goes on."""


class Answers:
    """Keeps typed lines open while they are answered, so that another agent can take them over.

    An answer that somebody interrupts counts as given. One that ends because the agent does is cut
    off in the same way, and closing a session may even bring a last final of the person's; so what
    was cut off waits for the agent's next answer, which is the sign that it is still there. An
    answer that failed counts as given too: the next agent would only fail at it in its turn.

    Args:
        acknowledge: is called with the key of each line that has been answered.
        cuts: how often until now a reply was cut off that livekit-agents took for complete.
    """

    def __init__(
        self, acknowledge: Callable[[str], None], cuts: Callable[[], int] = lambda: 0
    ) -> None:
        self._acknowledge = acknowledge
        self._cuts = cuts
        self._cut_off: list[str] = []
        self._given: set[str] = set()

    def expect(self, key: str, speech: Any) -> None:
        """Note that this `SpeechHandle` is the answer to the line with this key."""
        self._go_on()
        before = self._cuts()
        speech.add_done_callback(lambda done: self._on_done(key, done, before))

    def given(self, key: str) -> None:
        """Acknowledge a line before its `SpeechHandle` is done: the answer can be read already."""
        self._given.add(key)
        self._acknowledge(key)

    def on_state(self, state: str) -> None:
        """Note what the agent does now, in the words of livekit-agents."""
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
