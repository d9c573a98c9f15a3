"""Cursors of a transcript's stream: everything up to a seq was received."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from hub.events import SessionState
from models.tables import Session
from resolvers.refusals import BadUserInput


def transcript_cursor(session: Session | SessionState) -> str:
    """Return the cursor after everything committed when this session was read."""
    return encode_cursor(session.id, session.last_seq)


def encode_cursor(session_id: str, seq: int) -> str:
    """Make a cursor that means "everything up to here" in a session's transcript."""
    return urlsafe_b64encode(f"t1:{session_id}:{seq}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str, session: Session) -> int:
    """Return the seq that a cursor names; refuse another session's cursor."""
    refusal = BadUserInput(
        "That cursor was not made for this session's transcript. "
        "Leave `after` out to receive everything.",
        field=("after",),
    )
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, session_id, digits = urlsafe_b64decode(padded).decode("ascii").split(":")
        seq = int(digits)
    except ValueError:
        raise refusal from None
    if version != "t1" or session_id != session.id or encode_cursor(session_id, seq) != cursor:
        raise refusal
    if not 0 <= seq <= session.last_seq:
        raise BadUserInput(
            "That cursor is ahead of this session's transcript: the server may have been restored "
            "from a backup. Leave `after` out to receive everything.",
            field=("after",),
        )
    return seq
