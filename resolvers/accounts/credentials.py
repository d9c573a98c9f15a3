"""Rates, hashes and checks passwords and secrets; how long a check takes reveals nothing."""

import asyncio
import functools
import hashlib
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from resolvers.refusals import RateLimited

T = TypeVar("T")

TOKEN_PREFIX: Final = "vox_"  # noqa: S105 - a prefix, not a secret
SHOWN: Final = len(TOKEN_PREFIX) + 8
"""Characters of a token's secret that are stored in the clear: 48 of its 256 bits."""

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN_DIGITS: Final = 43
"""Digits of base 62 that hold 256 bits."""

GUESSED_SCORE: Final = 2
"""Minimum zxcvbn score: more than a million guesses. Fewer are too few: wrong passwords are slowed
down, but an attacker may have many addresses, and target many accounts."""
GUESSED_LENGTH: Final = 24
"""Characters of a password that are rated, because the time grows faster than the length: at most
0.2 s for this many, 1.4 s for twice as many. If they are hard to guess, so is the whole."""

_argon2 = PasswordHash((Argon2Hasher(),))
IN_LINE: Final = 50
"""Maximum passwords queued or in progress: the last one is done after a few seconds."""
# A hash takes about 0.1 s and 64 MiB, so only two run at a time: a flood of sign-ins queues instead
# of filling the memory, and never takes the threads of other work.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")


_in_line: set[asyncio.Future[Any]] = set()


async def hash_of(password: str) -> str:
    """Return a password's argon2 hash, which is what is stored.

    Raises:
        RateLimited: See `check_line`.
    """
    return await _in_turn(_argon2.hash, password)


async def is_guessable(password: str, known: Sequence[str] = ()) -> bool:
    """Whether this password is easy to guess.

    Args:
        password: The password that somebody chose.
        known: What anybody may know of its owner, such as the e-mail address.

    Raises:
        RateLimited: See `check_line`.
    """
    return await _in_turn(_is_guessable, password, known)


async def is_password(password: str, password_hash: str | None) -> bool:
    """Check a password; without a hash it takes as long, so the time reveals no accounts.

    Raises:
        RateLimited: See `check_line`.
    """
    return await _in_turn(_verify, password, password_hash)


def check_line() -> None:
    """Raise RateLimited if the hashing queue is full; call this before counting an attempt.

    Raises:
        RateLimited: Too many passwords are waiting to be hashed or checked.
    """
    if len(_in_line) >= IN_LINE:
        raise RateLimited(
            "Too many people are signing in right now. Try again in a few seconds.", 3
        )


async def _in_turn(work: Callable[..., T], *given: object) -> T:
    check_line()
    future = asyncio.get_running_loop().run_in_executor(_threads, work, *given)
    _in_line.add(future)
    future.add_done_callback(_in_line.discard)
    return await future


def new_login_secret() -> str:
    """Make a cookie's secret: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_token_secret() -> str:
    """Make an API token's secret: `vox_` and 256 random bits in base 62."""
    number = secrets.randbits(256)
    digits = []
    for _ in range(_TOKEN_DIGITS):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return TOKEN_PREFIX + "".join(digits)


def digest(secret: str) -> str:
    """Return the SHA-256 by which a secret is stored and found; secrets are too random to guess."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _is_guessable(password: str, known: Sequence[str]) -> bool:
    # Imported only for new passwords: its word lists take 0.1 s to load, and 15 MB.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:GUESSED_LENGTH], user_inputs=list(known))
    return int(judged["score"]) < GUESSED_SCORE


def _verify(password: str, password_hash: str | None) -> bool:
    is_right = _argon2.verify(password, password_hash or _nobodys())
    return is_right and password_hash is not None


@functools.cache
def _nobodys() -> str:
    return _argon2.hash(secrets.token_urlsafe(32))
