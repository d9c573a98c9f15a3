"""Sends typed lines."""

from datetime import datetime

from hub.events import AgentCommanded, Input
from models.tables import Role, SessionStatus, Utterance, UtteranceSource
from resolvers import limits
from resolvers.access import owned_session, require
from resolvers.config import Config
from resolvers.refusals import Conflict
from resolvers.transcripts.merge import UtteranceChange, is_typed_by_person
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import TokenScope, Viewer


async def send_message(
    transactions: Transactions,
    config: Config,
    viewer: Viewer | None,
    session_id: str,
    key: str,
    text: str,
) -> Utterance:
    """Store a line the person typed, then send it to the agent; one key means one line."""
    allowed = require(viewer, TokenScope.SESSIONS_WRITE)
    limits.check_key(key, ("key",))
    limits.check_text(text, ("text",))

    async def work(transaction: Transaction) -> Utterance:
        session = await owned_session(
            allowed, session_id, conn=transaction.conn, scope=TokenScope.SESSIONS_WRITE
        )
        edit = transaction.adopt(session)
        await transaction.flush(edit)
        held = (await edit.load([key])).get(key)
        if held is not None:
            _check_same_line(held, text)
            _hand_over(transaction, held)
            return held
        if session.status is not SessionStatus.ACTIVE:
            raise Conflict(_not_active(session.status), field=("sessionId",))
        await edit.merge(_typed(key, text, transaction.now))
        if session.person_back_by is not None:
            session.person_back_by = transaction.now + config.abandon_after
        line = (await edit.load([key]))[key]
        _hand_over(transaction, line)
        return line

    return await transactions.run(work)


def _hand_over(transaction: Transaction, line: Utterance) -> None:
    # A resent line may not have reached its agent before; agents recognise lines by their keys.
    if line.awaits_agent:
        transaction.emit(AgentCommanded(line.session_id, Input(line.key, line.text)))


def _check_same_line(held: Utterance, text: str) -> None:
    if not is_typed_by_person(held) or held.text != text:
        raise Conflict(
            "Another line was sent under this key. Make a new key for a new line.", field=("key",)
        )


def _not_active(status: SessionStatus) -> str:
    if status is SessionStatus.STARTING:
        return "The agent isn't ready yet. Send this when it is."
    if status is SessionStatus.FAILED:
        return "The agent isn't available. Ask for it again with retryAgent, then send this."
    return "This conversation has ended. Start another with startNewChat."


def _typed(key: str, text: str, now: datetime) -> UtteranceChange:
    return UtteranceChange(
        role=Role.USER,
        source=UtteranceSource.TYPED,
        text=text,
        is_final=True,
        started_at=now,
        ended_at=now,
        key=key,
        awaits_agent=True,
    )
