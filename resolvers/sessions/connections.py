"""Tracks the agents and people's media connected to this process. Nothing here is stored."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hub.events import SessionChanged, SessionMoved, SessionOver, SessionState
from hub.hub import Hub
from models.tables import Session
from resolvers.config import Config
from resolvers.members import Members
from resolvers.sessions import lifecycle
from resolvers.transcripts.transaction import Transaction

MOST_AGENTS: Final = 3
"""Agents to which a typed line is handed; if none of them acknowledges it, it is given up."""


@dataclass(slots=True)
class AgentConnection:
    """The connection of a session's current agent."""

    session_id: str
    attempt: int
    connection: str
    user_id: str | None = None
    """The session's owner; unknown until the database was read."""
    state: str = "INITIALIZING"
    """The last reported state; until the first report, the agent is joining."""


@dataclass(slots=True)
class _Reporter:
    """The newest connection of an attempt that has not said `bye`."""

    connection: str
    left_at: datetime | None = None
    """When it broke; None while it is open."""


@dataclass(slots=True)
class _Session:
    """What is known about one session."""

    agent: AgentConnection | None = None
    newest_attempt: int | None = None
    """Older attempts are fenced off; None if this process knows of no attempt."""
    reporters: dict[int, _Reporter] = field(default_factory=dict)
    """The attempts whose agents may still report something."""
    has_person: bool = False
    heard_at: datetime | None = None
    """When the person was last heard; a person who is heard is not away."""
    handed_over: dict[str, set[int]] = field(default_factory=dict)
    """The attempts to whose agents each typed line was handed, by the line's key."""


class Connections:
    """Agents and people by session. Publishes what an agent is doing to its session's watchers.

    What is connected to another process is known from the session's row.

    Args:
        hub: Publishes agents' states, and reports sessions that are over or were moved.
        members: The processes.
    """

    def __init__(self, hub: Hub, members: Members) -> None:
        self._hub = hub
        self._members = members
        self._sessions: dict[str, _Session] = {}
        self._unnoted: set[str] = set()
        hub.on(SessionOver, lambda over: self.forget(over.session_id))
        hub.on(SessionMoved, lambda moved: self.belongs_to(moved.session_id, moved.to_user_id))

    def _known(self, session_id: str) -> _Session:
        return self._sessions.setdefault(session_id, _Session())

    # ------------------------------------------------------------------ the session's agent

    def has_agent(self, session_id: str) -> bool:
        """Whether the agent of this session is connected to this process."""
        return self._agent(session_id) is not None

    def agent_is_there(self, session: Session) -> bool:
        """Whether the agent of the session's newest attempt is connected to any process."""
        return self._is_here(session) or self.is_elsewhere(session.agent_at)

    @property
    def is_sole(self) -> bool:
        """Whether there is no other process."""
        return self._members.is_sole

    @property
    def others(self) -> set[int]:
        """The numbers of the other processes that are alive."""
        return self._members.others

    def is_elsewhere(self, number: int | None) -> bool:
        """Whether this is the number of another process, and that one is alive."""
        return self._members.is_other(number)

    def agents(self) -> int:
        """Count the agents that are connected."""
        return sum(session.agent is not None for session in self._sessions.values())

    def agent_state(self, session_id: str) -> str | None:
        """Return the state of the connected agent, None without one."""
        agent = self._agent(session_id)
        return agent.state if agent is not None else None

    def is_here_only(self, session: Session) -> bool:
        """Whether the newest attempt's agent is connected here, and to no other process."""
        return self._is_here(session) and not self.is_elsewhere(session.agent_at)

    def _is_here(self, session: Session) -> bool:
        agent = self._agent(session.id)
        return agent is not None and agent.attempt >= session.attempt

    def note_here(self, session: Session, now: datetime, config: Config) -> None:
        """Note in its row that the session's agent is connected to this process."""
        is_taken_over = session.held_by not in (None, self._members.me) and not self.is_sole
        if is_taken_over and not self.has_person(session.id):
            # From now on, this process watches whether the person is there.
            lifecycle.person_left(session, now, config)
        session.held_by = session.agent_at = self._members.me

    def note_gone(self, session: Session, transaction: Transaction) -> None:
        """Note in its row that the session's agent is not connected; tell other processes."""
        session.agent_at = None
        if not self._members.is_sole:
            transaction.emit(SessionChanged(session.id, session.user_id, None))

    def made_attempt(self, session_id: str, attempt: int) -> bool:
        """Whether this process has made this attempt, or knows its agent."""
        session = self._sessions.get(session_id)
        return session is not None and session.newest_attempt == attempt

    async def states_elsewhere(
        self, sessions: Sequence[Session | SessionState]
    ) -> list[str | None]:
        """Return the states of these sessions' agents, which are connected to other processes.

        None if it is not known what an agent is doing.
        """
        return await self._hub.retained(
            [state_key(session.id, session.agent_at or 0) for session in sessions]
        )

    def is_current(self, session_id: str, attempt: int, connection: str) -> bool:
        """Whether this is the connection of the session's current agent."""
        agent = self._agent(session_id)
        return agent is not None and agent.attempt == attempt and agent.connection == connection

    def come(self, agent: AgentConnection) -> None:
        """Make a connection its session's current one, unless a newer attempt has that place."""
        session = self._known(agent.session_id)
        held = session.agent
        if held is None or held.attempt <= agent.attempt:
            if held is not None:
                agent.user_id = held.user_id
            session.agent = agent
            self._retain(agent)
        session.reporters[agent.attempt] = _Reporter(agent.connection)

    def leave(self, session_id: str, attempt: int, connection: str) -> bool:
        """Remove a connection if it is its session's current one; return whether it was."""
        if not self.is_current(session_id, attempt, connection):
            return False
        self._vacate(session_id)
        return True

    def show_state(self, session_id: str, attempt: int, connection: str, state: str) -> None:
        """Note and publish what the session's agent is doing."""
        agent = self._agent(session_id)
        if agent is None or not self.is_current(session_id, attempt, connection):
            return
        if agent.state != state:
            agent.state = state
            self._retain(agent)
            self._hub.emit(SessionChanged(session_id, agent.user_id, None))

    def belongs_to(self, session_id: str, user_id: str) -> None:
        """Note the session's owner."""
        if (agent := self._agent(session_id)) is not None:
            agent.user_id = user_id

    def _agent(self, session_id: str) -> AgentConnection | None:
        session = self._sessions.get(session_id)
        return session.agent if session is not None else None

    def _vacate(self, session_id: str) -> None:
        session = self._sessions[session_id]
        agent, session.agent = session.agent, None
        if agent is not None:
            self._hub.retain(state_key(session_id, self._members.me), None)
            self._hub.emit(SessionChanged(session_id, agent.user_id, None))

    def _retain(self, agent: AgentConnection) -> None:
        """Let other processes read the agent's state."""
        self._hub.retain(state_key(agent.session_id, self._members.me), agent.state)

    # ------------------------------------------------------------------ attempts

    def attempt_made(self, session_id: str, user_id: str, attempt: int) -> None:
        """Note a new attempt; nobody waits any more for an older one's agent."""
        self._known(session_id).newest_attempt = attempt
        self.belongs_to(session_id, user_id)
        self._vacate(session_id)

    def note_attempt(self, session_id: str, attempt: int) -> None:
        """Note which attempt is the newest."""
        self._known(session_id).newest_attempt = attempt

    def is_outdated(self, session_id: str, attempt: int) -> bool:
        """Whether a newer attempt is known."""
        session = self._sessions.get(session_id)
        return session is not None and (session.newest_attempt or 0) > attempt

    def came_before(self, session_id: str, attempt: int, connection: str) -> None:
        """Note a connection that was made to the process before this one."""
        self._known(session_id).reporters[attempt] = _Reporter(connection)

    def lost(self, session_id: str, attempt: int, connection: str, now: datetime) -> None:
        """Note that a connection broke; its agent may come back with unreported utterances."""
        reporter = self._reporter(session_id, attempt, connection)
        if reporter is not None:
            reporter.left_at = now

    def said_bye(self, session_id: str, attempt: int, connection: str) -> None:
        """Note that an attempt's agent has reported everything."""
        if self._reporter(session_id, attempt, connection) is not None:
            del self._sessions[session_id].reporters[attempt]

    def may_write(self, session_id: str, now: datetime, grace: timedelta) -> bool:
        """Whether an agent is connected, or was within `grace` and has not said `bye`."""
        session = self._sessions.get(session_id)
        return session is not None and any(
            reporter.left_at is None or reporter.left_at + grace > now
            for reporter in session.reporters.values()
        )

    def may_report(self, session: Session, now: datetime, config: Config) -> bool:
        """Whether an agent of this session may still report something, to any process."""
        if self.may_write(session.id, now, config.grace):
            return True
        if self._members.is_sole:
            return False
        # Another process noted when it lost the agent.
        lost_at = session.agent_back_by and session.agent_back_by - config.abandon_after
        is_in_grace = lost_at is not None and lost_at + config.grace > now
        return is_in_grace or self.is_elsewhere(session.agent_at)

    def _reporter(self, session_id: str, attempt: int, connection: str) -> _Reporter | None:
        session = self._sessions.get(session_id)
        reporter = session.reporters.get(attempt) if session is not None else None
        return reporter if reporter is not None and reporter.connection == connection else None

    def may_take(self, session_id: str, key: str, attempt: int) -> bool:
        """Whether this attempt's agent gets a typed line that was not acknowledged.

        A line that crashes one agent after another would otherwise crash every agent that joins.
        """
        met = self._known(session_id).handed_over.setdefault(key, set())
        if attempt not in met and len(met) >= MOST_AGENTS:
            return False
        met.add(attempt)
        return True

    # ------------------------------------------------------------------ the person

    def has_person(self, session_id: str) -> bool:
        """Whether the person can be heard."""
        session = self._sessions.get(session_id)
        return session is not None and session.has_person

    def person_came(self, session_id: str) -> None:
        """Note that the person can be heard."""
        self._known(session_id).has_person = True

    def person_left(self, session_id: str) -> None:
        """Note that the person can't be heard."""
        if (session := self._sessions.get(session_id)) is not None:
            session.has_person = False
            if session == _Session():
                del self._sessions[session_id]

    def heard(self, session_id: str, now: datetime) -> None:
        """Note that the person was heard; late words don't bring a forgotten session back."""
        session = self._sessions.get(session_id)
        if session is not None and session.newest_attempt is not None:
            session.heard_at = now

    def heard_at(self, session_id: str) -> datetime | None:
        """Return when the person was last heard."""
        session = self._sessions.get(session_id)
        return session.heard_at if session is not None else None

    # ------------------------------------------------------------------ absences, and the end

    def leave_unnoted(self, session_id: str) -> None:
        """Note that somebody left while the database was not writable: no deadline is set yet."""
        self._unnoted.add(session_id)

    def unnoted(self) -> Collection[str]:
        """Return the sessions that somebody left while the database was not writable."""
        return list(self._unnoted)

    def noted(self, session_id: str) -> None:
        """Note that a session's deadlines are set."""
        self._unnoted.discard(session_id)

    def known(self) -> Collection[str]:
        """Return the sessions of which something is known."""
        return self._sessions.keys()

    def forget(self, session_id: str) -> None:
        """Drop what is known about a session that is over, unless its agent is still there."""
        session = self._sessions.get(session_id)
        if session is None or session.agent is not None:
            return
        if session.has_person:
            self._sessions[session_id] = _Session(has_person=True)
        else:
            del self._sessions[session_id]


def state_key(session_id: str, process: int) -> str:
    """Return the key under which a process keeps the state of a session's agent for the others."""
    return f"state:{session_id}:{process}"
