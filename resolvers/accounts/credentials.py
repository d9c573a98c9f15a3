"""Passwords and secrets: judged, kept as hashes, and checked without telling how far one got."""

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
"""So much of a token's secret is kept in the clear: 48 of its 256 bits."""

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN_DIGITS: Final = 43
"""Digits of base 62 that hold 256 bits."""

GUESSED_SCORE: Final = 2
"""The least score that zxcvbn gives what takes more than a million guesses. Fewer are too few:
wrong passwords are slowed down, but an attacker may have many addresses, and many accounts."""
GUESSED_LENGTH: Final = 24
"""Characters of a password that are judged, since the time grows faster than the length: 0.2 s at
the very most for so many, 1.4 s for twice as many. If they are hard to guess, the whole is, too."""

_argon2 = PasswordHash((Argon2Hasher(),))
IN_LINE: Final = 50
"""Passwords that may be waiting or worked on: the last of them is done after a few seconds."""
# A hash takes about 0.1 s and 64 MiB, so two at a time: a flood of sign-ins waits in line
# instead of filling the memory, and never takes the threads that others work in.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")


_in_line: set[asyncio.Future[Any]] = set()


async def hash_of(password: str) -> str:
    """Return the argon2 hash under which a password is kept.

    Raises:
        RateLimited: see `check_line`.
    """
    return await _in_turn(_argon2.hash, password)


async def is_guessable(password: str, known: Sequence[str] = ()) -> bool:
    """Whether others would find this password soon.

    Args:
        password: what somebody wants to take.
        known: what anybody may know of its owner, such as the e-mail address.

    Raises:
        RateLimited: see `check_line`.
    """
    return await _in_turn(_is_guessable, password, known)


async def is_password(password: str, password_hash: str | None) -> bool:
    """Check a password; without a hash it takes as long, so that time tells nobody who exists.

    Raises:
        RateLimited: see `check_line`.
    """
    return await _in_turn(_verify, password, password_hash)


def check_line() -> None:
    """Raise RateLimited if the hashing queue is full; call it before a try is counted.

    Raises:
        RateLimited: too many wait already to have a password made or checked.
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
    """Make the secret of a cookie: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_token_secret() -> str:
    """Make the secret of an API token: `vox_` and 256 random bits in base 62."""
    number = secrets.randbits(256)
    digits = []
    for _ in range(_TOKEN_DIGITS):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return TOKEN_PREFIX + "".join(digits)


def digest(secret: str) -> str:
    """Return the SHA-256 under which a secret is kept and found; it is too random to be guessed."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _is_guessable(password: str, known: Sequence[str]) -> bool:
    # Its word lists take a tenth of a second to load, and 15 MB: only where somebody signs up.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:GUESSED_LENGTH], user_inputs=list(known))
    return int(judged["score"]) < GUESSED_SCORE


def _verify(password: str, password_hash: str | None) -> bool:
    is_right = _argon2.verify(password, password_hash or _nobodys())
    return is_right and password_hash is not None


@functools.cache
def _nobodys() -> str:
    return _argon2.hash(secrets.token_urlsafe(32))
