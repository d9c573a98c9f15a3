"""What VoxQL keeps: the tables, how they are migrated, and how a transaction is made."""

from models.api_token import ApiToken
from models.idempotency import IdempotencyRecord
from models.login import Login
from models.session import EndReason, Session, SessionStatus
from models.user import User
from models.utterance import Role, Utterance, UtteranceSource

__all__ = [
    "ApiToken",
    "EndReason",
    "IdempotencyRecord",
    "Login",
    "Role",
    "Session",
    "SessionStatus",
    "User",
    "Utterance",
    "UtteranceSource",
]
