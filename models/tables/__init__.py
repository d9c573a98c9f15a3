"""The tables, as Tortoise models."""

from models.tables.api_token import ApiToken
from models.tables.idempotency import IdempotencyRecord
from models.tables.login import Login
from models.tables.session import EndReason, Session, SessionStatus
from models.tables.user import User
from models.tables.utterance import Role, Utterance, UtteranceSource

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
