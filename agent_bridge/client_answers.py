"""Typed lines that livekit-agents answers: each is acknowledged once its answer has been given."""

from collections.abc import Callable
from typing import Any


class Answers:
    """Keeps typed lines open while they are answered, so that another agent can take them over.

    An answer that somebody interrupts counts as given. One that ends because the agent does is cut
    off in the same way, so what was cut off waits for a sign that the conversation goes on.

    Args:
        session: an `AgentSession` of livekit-agents.
        acknowledge: is called with the key of each line that has been answered.
    """

    def __init__(self, session: Any, acknowledge: Callable[[str], None]) -> None:
        self._session = session
        self._acknowledge = acknowledge
        self._cut_off: list[str] = []

    def expect(self, key: str, speech: Any) -> None:
        """Note that this `SpeechHandle` is the answer to the line with this key."""
        speech.add_done_callback(lambda done: self._on_done(key, done))

    def goes_on(self) -> None:
        """Note that the person said or typed something."""
        for key in self._cut_off:
            self._acknowledge(key)
        self._cut_off.clear()

    def _on_done(self, key: str, speech: Any) -> None:
        if speech.interrupted and getattr(self._session, "user_state", "") != "speaking":
            self._cut_off.append(key)
        else:
            self._acknowledge(key)
