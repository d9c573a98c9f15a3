"""What an account is known by: an address that nobody else has, a password that nobody guesses."""

import re
from collections.abc import Sequence

from models import User
from models.database import Connection, IntegrityError
from models.repositories import accounts
from resolvers.accounts import credentials
from resolvers.limits import check_known_email
from resolvers.refusals import BadUserInput, Conflict, NotFound


async def hash_of_new(password: str, email: str) -> str:
    """Return the hash of a password that somebody wants to take.

    Raises:
        BadUserInput: others would guess it.
        RateLimited: see `credentials.check_line`.
    """
    known = [email, *email.split("@"), *re.split(r"\W+", email), "voxql"]
    if await credentials.is_guessable(password, known):
        raise BadUserInput(
            "This password is easy to guess. Use a longer one, or a few unrelated words.",
            field=["password"],
        )
    return await credentials.hash_of(password)


async def claim_email(
    conn: Connection, user: User, emails: Sequence[str], password_hash: str
) -> User:
    """Give a user this address, and the password with it.

    Raises:
        Conflict: another account has it.
    """
    taken = Conflict(
        "An account with this e-mail already exists. Sign in, or use another e-mail.",
        field=["email"],
    )
    if await accounts.by_email(conn, emails) is not None:
        raise taken
    user.email, user.password_hash = emails[0], password_hash
    try:
        await accounts.save(conn, user)
    except IntegrityError:
        raise taken from None
    return user


async def user_by_email(conn: Connection, email: str) -> User:
    """Return the user with this e-mail.

    Raises:
        NotFound: there is none.
    """
    user = await accounts.by_email(conn, check_known_email(email, ["email"]))
    if user is None:
        raise NotFound("No account has this e-mail.", field=["email"])
    return user
