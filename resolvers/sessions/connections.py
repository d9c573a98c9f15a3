"""Who is connected to this process right now: agents and people's media. Nothing here is stored."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

MOST_AGENTS: Final = 3
"""Agents that a typed line awaits when they come; if none of them acknowledges it, it is let be."""


@dataclass(slots=True)
class AgentConnection:
    """The connection over which a session's current agent is heard."""

    connection: str
    attempt: int
    user_id: str | None = None
    """Whose session it is; not known until the database was asked."""
    state: str = "INITIALIZING"
    """What it last told; until then it is on its way."""


@dataclass(slots=True)
class Writer:
    """The newest connection of one attempt, which has not said `bye`."""

    connection: str
    left_at: datetime | None = None
    """When it broke; None while it is open."""


@dataclass(slots=True)
class Connections:
    """Agents and people by session id."""

    agents: dict[str, AgentConnection] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    """The newest attempt of each session that this process knows of; older ones are fenced off."""
    writers: dict[str, dict[int, Writer]] = field(default_factory=dict)
    """Of each session, the attempts whose agents may still report something."""
    people: set[str] = field(default_factory=set)
    heard: dict[str, datetime] = field(default_factory=dict)
    """When each session's person was last heard: somebody who is heard is not away."""
    handed_over: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    """Which attempts' agents were met by each typed line of a session, by the line's key."""
    unnoted: set[str] = field(default_factory=set)
    """Sessions that somebody left while the database took nothing: no deadline runs yet."""

    def agent_state(self, session_id: str) -> str | None:
        """Return the state of the connected agent, None without one."""
        agent = self.agents.get(session_id)
        return agent.state if agent is not None else None

    def come(self, session_id: str, agent: AgentConnection) -> None:
        """Let a connection take its session's place, unless a newer attempt's has it."""
        held = self.agents.get(session_id)
        if held is None or held.attempt <= agent.attempt:
            if held is not None:
                agent.user_id = held.user_id
            self.agents[session_id] = agent

    def is_current(self, session_id: str, attempt: int, connection: str) -> bool:
        """Whether this connection is the one that the session's agent speaks over."""
        agent = self.agents.get(session_id)
        return agent is not None and agent.attempt == attempt and agent.connection == connection

    def connected(self, session_id: str, attempt: int, connection: str) -> None:
        """Note that an attempt's agent is here, one that is fenced off included."""
        self.writers.setdefault(session_id, {})[attempt] = Writer(connection)

    def lost(self, session_id: str, attempt: int, connection: str, now: datetime) -> None:
        """Note that a connection broke: its agent may come back with what it still has."""
        writer = self.writers.get(session_id, {}).get(attempt)
        if writer is not None and writer.connection == connection:
            writer.left_at = now

    def said_bye(self, session_id: str, attempt: int, connection: str) -> None:
        """Note that an attempt's agent has reported all it had."""
        writers = self.writers.get(session_id, {})
        if attempt in writers and writers[attempt].connection == connection:
            del writers[attempt]

    def may_write(self, session_id: str, now: datetime, grace: timedelta) -> bool:
        """Whether an agent is connected, or was until a moment ago and has not said `bye`."""
        return any(
            writer.left_at is None or writer.left_at + grace > now
            for writer in self.writers.get(session_id, {}).values()
        )

    def may_take(self, session_id: str, key: str, attempt: int) -> bool:
        """Whether the agent of this attempt is to get a typed line that was not acknowledged.

        A line over which one agent after the other dies would end every one that comes.
        """
        met = self.handed_over.setdefault(session_id, {}).setdefault(key, set())
        if attempt not in met and len(met) >= MOST_AGENTS:
            return False
        met.add(attempt)
        return True

    def moved(self, session_id: str, user_id: str) -> None:
        """Note that a session has become another user's."""
        if (agent := self.agents.get(session_id)) is not None:
            agent.user_id = user_id

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session that is over, unless its agent is still there."""
        if session_id in self.agents:
            return
        self.attempts.pop(session_id, None)
        self.writers.pop(session_id, None)
        self.heard.pop(session_id, None)
        self.handed_over.pop(session_id, None)
