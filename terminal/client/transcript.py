"""What has been said so far, as the terminal shows and saves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

SPEAKERS = {"USER": "You", "AGENT": "Agent"}


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One utterance."""

    key: str
    revision: int
    role: str
    text: str
    is_final: bool
    is_interrupted: bool
    sort_key: str
    started_at: str
    source: str

    @property
    def speaker(self) -> str:
        """The label of the speaker."""
        return SPEAKERS.get(self.role, self.role.title())

    @property
    def shown(self) -> str:
        """The text to show."""
        return f"{self.text} [interrupted]" if self.is_interrupted else self.text


class Transcript:
    """The newest revision of each utterance, by key; a final stays final."""

    def __init__(self) -> None:
        self._lines: dict[str, TranscriptLine] = {}

    def take(self, utterance: Mapping[str, Any]) -> bool:
        """Take an utterance from the server, and return whether it was new."""
        line = read(utterance)
        held = self._lines.get(line.key)
        if held is not None and line.revision <= held.revision:
            return False
        if held is not None and held.is_final:
            line = replace(line, is_final=True)
        self._lines[line.key] = line
        return True

    @property
    def lines(self) -> list[TranscriptLine]:
        """All lines, in the server's order."""
        return sorted(self._lines.values(), key=lambda line: line.sort_key)

    @property
    def messages(self) -> list[dict[str, object]]:
        """The input of `saveSession`: what was seen here, under the server's own keys."""
        return [
            {
                "key": line.key,
                "role": line.role,
                "text": line.text,
                "timestamp": line.started_at,
                "isFinal": line.is_final,
            }
            for line in self.lines
        ]

    @property
    def is_settled(self) -> bool:
        """Whether all lines are final."""
        return all(line.is_final for line in self._lines.values())

    @property
    def is_answered(self) -> bool:
        """Whether the person has said something, and the agent was the last to speak."""
        heard = [line.role for line in self.lines if line.is_final]
        return "USER" in heard and heard[-1] == "AGENT"


def read(utterance: Mapping[str, Any]) -> TranscriptLine:
    """Convert an utterance from GraphQL to a line."""
    return TranscriptLine(
        key=utterance["key"],
        revision=utterance["revision"],
        role=utterance["role"],
        text=utterance["text"],
        is_final=utterance["isFinal"],
        is_interrupted=utterance["isInterrupted"],
        sort_key=utterance["sortKey"],
        started_at=utterance["startedAt"],
        source=utterance["source"],
    )
