"""Registers accounts: a unique e-mail address, and a password that is hard to guess."""

import re
from collections.abc import Sequence

from models.database import Connection, IntegrityError
from models.repositories import accounts
from models.tables import User
from resolvers.accounts import credentials
from resolvers.limits import check_known_email
from resolvers.refusals import BadUserInput, Conflict, NotFound


async def hash_of_new(password: str, email: str) -> str:
    """Return the hash of a new password.

    Raises:
        BadUserInput: The password is easy to guess.
        RateLimited: See `credentials.check_line`.
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
    """Give a user this address and this password.

    Raises:
        Conflict: Another account has the address.
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
        NotFound: No account has it.
    """
    user = await accounts.by_email(conn, check_known_email(email, ["email"]))
    if user is None:
        raise NotFound("No account has this e-mail.", field=["email"])
    return user
