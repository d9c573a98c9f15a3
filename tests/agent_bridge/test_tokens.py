"""Each token is valid only for its purpose."""

import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from agent_bridge.server.tokens import Binding, MediaGrant, TokenRefused, Tokens

SECRET = b"only for tests, at least 32 bytes"
SESSION = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"
TOKENS = Tokens(SECRET)


def forged(**changes: Any) -> str:
    """Make a token with our secret and other claims; None leaves a claim out."""
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "aud": "voxql.bridge",
        "sub": SESSION,
        "attempt": 1,
        "iat": now,
        "exp": now + 3600,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    # Signed as bytes: PyJWT refuses to create some of them.
    return jwt.PyJWS().encode(json.dumps(kept).encode(), SECRET, algorithm="HS256")


def test_a_bridge_token_names_one_session_and_attempt() -> None:
    """It is valid for 24 hours."""
    token = TOKENS.bridge(SESSION, 3)
    assert TOKENS.read_bridge(token) == Binding(SESSION, 3)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="voxql.bridge")
    assert claims["exp"] - claims["iat"] == pytest.approx(24 * 3600, abs=1)


@pytest.mark.parametrize(("role", "seconds"), [("person", 15 * 60), ("agent", 24 * 3600)])
def test_a_media_token_names_one_side_of_a_session(role: Any, seconds: int) -> None:
    """A person has 15 minutes to connect, an agent 24 hours."""
    before = datetime.now(UTC)
    access = "log_x" if role == "person" else ""
    token, expires_at = TOKENS.media(SESSION, role, 2, access=access)
    assert TOKENS.read_media(token) == MediaGrant(SESSION, role, 2, expires_at, access)
    assert (expires_at - before).total_seconds() == pytest.approx(seconds, abs=2)


def test_two_tokens_for_the_same_are_not_the_same() -> None:
    """Tokens differ even if made within the same second."""
    assert TOKENS.bridge(SESSION, 1) != TOKENS.bridge(SESSION, 1)


def test_tokens_are_not_exchangeable() -> None:
    """The bridge rejects media tokens, and media rejects bridge tokens."""
    with pytest.raises(TokenRefused):
        TOKENS.read_bridge(TOKENS.media(SESSION, "agent", 1)[0])
    with pytest.raises(TokenRefused):
        TOKENS.read_media(TOKENS.bridge(SESSION, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": "else"},
        {"sub": None},
        {"sub": 1},
        {"exp": None},
        {"iat": None},
        {"exp": 0},
        {"attempt": None},
        {"attempt": "1"},
        {"attempt": True},
        {"attempt": 0},
    ],
)
def test_claims_that_are_missing_or_wrong_are_refused(changes: dict[str, Any]) -> None:
    """They are refused even with our own signature."""
    assert TOKENS.read_bridge(forged()) == Binding(SESSION, 1)
    with pytest.raises(TokenRefused):
        TOKENS.read_bridge(forged(**changes))


def test_a_media_token_without_a_known_role_is_refused() -> None:
    """Only the person and the agent are known."""
    with pytest.raises(TokenRefused):
        TOKENS.read_media(forged(aud="voxql.media", role="observer"))


@pytest.mark.parametrize("access", ["", 7, None])
def test_a_person_comes_by_a_login_or_an_api_token(access: object) -> None:
    """A person's token must name its login or API token."""
    with pytest.raises(TokenRefused):
        TOKENS.read_media(forged(aud="voxql.media", role="person", access=access))


def test_the_algorithm_is_ours_to_choose() -> None:
    """`none` and other hashes are refused, whatever the header says."""
    claims = jwt.decode(forged(), options={"verify_signature": False})
    for token in (
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        jwt.encode(claims, b"another secret of at least 32 b.", algorithm="HS256"),
    ):
        with pytest.raises(TokenRefused) as caught:
            TOKENS.read_bridge(token)
        assert token not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "\ud800", "ä.ö.ü", "." * 5000])
def test_what_is_no_token_is_refused(token: str) -> None:
    """It raises no other error."""
    with pytest.raises(TokenRefused):
        TOKENS.read_bridge(token)


def test_a_secret_that_is_too_short_is_refused_at_once() -> None:
    """The minimum is 32 bytes, the length of the hash."""
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens("short")
