"""Signing up, in and out, and what a guest keeps."""

import asyncio
from datetime import timedelta

import pytest

from hub.events import AccessRevoked, SessionChanged, access_topic, user_topic
from models.database import reader
from models.tables import Session
from resolvers import revocation
from resolvers.accounts import authentication, credentials
from resolvers.accounts.login import LOGIN_LIFE
from resolvers.backend import Backend
from resolvers.refusals import BadUserInput, Conflict, Forbidden, Unauthenticated
from resolvers.viewer import ALL_SCOPES
from tests.dump import dump
from tests.resolvers.accounts.people import (
    EMAIL,
    PASSWORD,
    TOKEN,
    events_of,
    new_ada,
    new_guest,
    viewer_of,
)
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused
from tests.rows import add_session, add_user

pytestmark = pytest.mark.usefixtures("quick_passwords")


async def test_signing_up_signs_in(backend: Backend, clock: Clock) -> None:
    """The cookie's secret is valid for thirty days and is not stored in plain text."""
    new_login = await backend.authentication.sign_up(None, email=EMAIL, password=PASSWORD)
    viewer = await viewer_of(backend, new_login)
    assert viewer.user_id == new_login.user.id
    assert not viewer.is_guest
    assert viewer.scopes == ALL_SCOPES
    assert viewer.expires_at == new_login.expires_at == clock() + timedelta(days=30)
    everything = str(await dump())
    assert new_login.secret not in everything
    assert PASSWORD not in everything
    assert "$argon2id$" in everything


@pytest.mark.parametrize("again", [EMAIL, " ADA@Example.COM "])
async def test_an_email_is_taken_once(backend: Backend, again: str) -> None:
    """A second account with the same e-mail, however written, is a conflict."""
    await new_ada(backend)
    async with refused(Conflict, ["email"], "Sign in, or use another"):
        await backend.authentication.sign_up(None, email=again, password=PASSWORD)


async def test_of_two_who_sign_up_at_once_one_is_refused(backend: Backend) -> None:
    """One account and one login remain."""
    both = [backend.authentication.sign_up(None, email=EMAIL, password=PASSWORD) for _ in range(2)]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 1
    content = await dump()
    assert len(content["users"]) == len(content["logins"]) == 1


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("ada", PASSWORD, "email"),
        ("", PASSWORD, "email"),
        ("a@b\0", PASSWORD, "email"),
        ("a@b\ud800", PASSWORD, "email"),
        ("a" * 250 + "@b.example", PASSWORD, "email"),
        ("a@" + "b" * 250 + ".example", PASSWORD, "email"),
        (EMAIL, "short", "password"),
        (EMAIL, "x" * 257, "password"),
        (EMAIL, "        ", "password"),
        (EMAIL, "1234567\ud800", "password"),
    ],
)
async def test_what_is_no_email_or_password(
    backend: Backend, email: str, password: str, field: str
) -> None:
    """The refusal names the field, for sign-up and sign-in alike."""
    async with refused(BadUserInput, [field]):
        await backend.authentication.sign_up(None, email=email, password=password)
    async with refused(BadUserInput, [field]):
        await backend.authentication.sign_in(None, email=email, password=password)


@pytest.mark.parametrize(
    "email",
    [
        *("a@b", "ada@localhost", "ada@example", "ada@127.0.0.1", "ada@[127.0.0.1]"),
        *("ada@-b.example", "ada@b..example", "ada@b.example.", "ada@b_c.example", "ada@b.invalid"),
        *("a..da@b.example", ".ada@b.example", '"a da"@b.example', "<ada@b.example>"),
        *("Ada <ada@b.example>", "ada@b@c.example", "ada\u200b@b.example", "ada@xn--zz.example"),
    ],
)
async def test_what_can_be_nobodys_address_gets_no_account(backend: Backend, email: str) -> None:
    """Sign-up and operators are asked for a valid address; sign-in merely finds no account."""
    async with refused(BadUserInput, ["email"], "Enter a valid e-mail address"):
        await backend.authentication.sign_up(None, email=email, password=PASSWORD)
    async with refused(BadUserInput, ["email"], "Enter a valid e-mail address"):
        await authentication.create_user(backend.clock, email, PASSWORD)


@pytest.mark.parametrize(
    ("email", "kept", "other"),
    [
        ("O'Hara+tag@B.example", "o'hara+tag@b.example", "O'HARA+TAG@b.EXAMPLE"),
        ("ada@corp.local", "ada@corp.local", "Ada@Corp.local"),
        ("ada@trial.test", "ada@trial.test", "ADA@trial.test"),
        ("Jürgen@MÜLLER.example", "jürgen@müller.example", "ju\u0308rgen@xn--mller-kva.example"),
        ("用户@例え.example", "用户@例え.example", "用户@xn--r8jz45g.example"),
        ("Δοκιμή@παράδειγμα.example", "δοκιμή@παράδειγμα.example", "ΔΟΚΙΜΉ@ΠΑΡΆΔΕΙΓΜΑ.example"),
    ],
)
async def test_an_address_has_one_account_however_it_is_written(
    backend: Backend, email: str, kept: str, other: str
) -> None:
    """International addresses too, despite capitals, decomposed letters or Punycode hosts."""
    new_login = await backend.authentication.sign_up(None, email=email, password=PASSWORD)
    assert new_login.user.email == kept
    for written in (email, kept, other):
        again = await backend.authentication.sign_in(None, email=written, password=PASSWORD)
        assert again.user.id == new_login.user.id
        async with refused(Conflict, ["email"]):
            await backend.authentication.sign_up(None, email=written, password=PASSWORD)


@pytest.mark.parametrize("email", ["a@b", "ada@xn--mller-kva.example", "ju\u0308rgen@b.example"])
async def test_accounts_from_before_addresses_were_checked_stay_good(
    backend: Backend, email: str
) -> None:
    """Their addresses and passwords would be refused today, but still sign in."""
    user = await add_user(email, await credentials.hash_of("12345678"))
    new_login = await backend.authentication.sign_in(None, email=email.upper(), password="12345678")
    assert new_login.user.id == user.id
    await authentication.reset_password(backend.transactions, email, PASSWORD)
    again = await backend.authentication.sign_in(None, email=email, password=PASSWORD)
    assert (again.user.id, again.user.email) == (user.id, email)


async def test_nobody_takes_the_address_of_an_account_from_before(backend: Backend) -> None:
    """The address as stored then and its normalised form name the same mailbox."""
    await add_user("ada@xn--mller-kva.example", await credentials.hash_of(PASSWORD))
    async with refused(Conflict, ["email"]):
        await backend.authentication.sign_up(
            None, email="ada@XN--mller-kva.example", password=PASSWORD
        )


@pytest.mark.parametrize(
    "password",
    [
        *("12345678", "password", "Password2024", "P4$$w0rd", "qwertyuiop", "iloveyou2"),
        *("aaaaaaaaaaaaaaaa", "abcabcabcabc", "19870213", "密码密码密码密码"),
        *("a" * 256, "password" * 32, "ada@example.com", "example.com", "voxqlvoxql"),
    ],
)
async def test_a_password_that_others_would_guess_is_refused(
    backend: Backend, password: str
) -> None:
    """Users and operators are told what would be better."""
    better = "This password is easy to guess. Use a longer one, or a few unrelated words."
    async with refused(BadUserInput, ["password"], better):
        await backend.authentication.sign_up(None, email=EMAIL, password=password)
    async with refused(BadUserInput, ["password"], better):
        await authentication.create_user(backend.clock, EMAIL, password)
    await authentication.create_user(backend.clock, EMAIL, PASSWORD)
    async with refused(BadUserInput, ["password"], better):
        await authentication.reset_password(backend.transactions, EMAIL, password)
    await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery staple", "zebra teapot 94", "Tr0ub4dor&3", "дождь чайник лестница"],
)
async def test_a_password_that_takes_long_to_guess_is_taken(
    backend: Backend, password: str
) -> None:
    """Length and unrelated words are enough; no character classes are required."""
    await backend.authentication.sign_up(None, email=EMAIL, password=password)
    await backend.authentication.sign_in(None, email=EMAIL, password=password)


async def test_a_guest_who_signs_up_keeps_everything(backend: Backend) -> None:
    """The user row and its conversations stay; a new login replaces the old one."""
    guest = await new_guest(backend)
    user = await authentication.viewer_user(guest)
    session = await add_session(user, "hello")
    assert guest.login_id is not None
    with backend.hub.subscribe(access_topic(guest.login_id)) as heard:
        new_login = await backend.authentication.sign_up(guest, email=EMAIL, password=PASSWORD)
    assert events_of(heard) == [AccessRevoked(guest.login_id)]
    viewer = await viewer_of(backend, new_login)
    assert viewer.user_id == guest.user_id
    assert viewer.login_id != guest.login_id
    assert not viewer.is_guest
    assert (await Session.filter(id=session.id).using_db(reader()).get()).user_id == viewer.user_id
    assert len((await dump())["logins"]) == 1


async def test_signing_up_while_signed_in_makes_another_account(backend: Backend) -> None:
    """Only a guest's row becomes an account; an existing account stays its owner's."""
    ada = await new_ada(backend)
    other = await backend.authentication.sign_up(ada, email="bob@example.com", password=PASSWORD)
    assert other.user.id != ada.user_id
    again = await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    assert again.user.id == ada.user_id


async def test_a_revoked_guest_can_not_be_claimed(backend: Backend) -> None:
    """A request made with a login revoked meanwhile gets a new account instead."""
    guest = await new_guest(backend)
    await authentication.sign_out(backend.transactions, guest)
    new_login = await backend.authentication.sign_up(guest, email=EMAIL, password=PASSWORD)
    assert new_login.user.id != guest.user_id


async def test_signing_in_needs_the_password(backend: Backend) -> None:
    """An unknown e-mail and a wrong password get the same message."""
    ada = await new_ada(backend)
    new_login = await backend.authentication.sign_in(
        None, email=" Ada@EXAMPLE.com", password=PASSWORD
    )
    assert new_login.user.id == ada.user_id
    async with refused(Unauthenticated, says="Wrong e-mail or password."):
        await backend.authentication.sign_in(None, email=EMAIL, password="wrong horse")
    async with refused(Unauthenticated, says="Wrong e-mail or password."):
        await backend.authentication.sign_in(None, email="bob@example.com", password=PASSWORD)


async def test_a_guest_has_no_password_to_sign_in_with(backend: Backend) -> None:
    """No password matches a user without a hash."""
    assert not await credentials.is_password(PASSWORD, None)
    assert await credentials.is_password(PASSWORD, await credentials.hash_of(PASSWORD))


async def test_the_login_of_a_browser_changes_with_every_sign_in(backend: Backend) -> None:
    """The old secret stops working, and the streams it opened end."""
    first = await backend.authentication.sign_up(None, email=EMAIL, password=PASSWORD)
    ada = await viewer_of(backend, first)
    assert ada.login_id is not None
    with backend.hub.subscribe(access_topic(ada.login_id)) as heard:
        second = await backend.authentication.sign_in(ada, email=EMAIL, password=PASSWORD)
    assert events_of(heard) == [AccessRevoked(ada.login_id)]
    assert first.secret != second.secret
    assert await authentication.viewer_of_login(backend.clock, first.secret) is None


async def test_two_browsers_are_signed_in_side_by_side(backend: Backend) -> None:
    """Signing in or out in one browser does not affect the other."""
    ada = await new_ada(backend)
    second = await viewer_of(
        backend, await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    )
    assert await authentication.sign_out(backend.transactions, second)
    assert await revocation.revoked_among(
        backend.clock, [str(ada.login_id), str(second.login_id)]
    ) == {second.login_id}


async def test_a_guests_conversations_come_along_on_demand(backend: Backend) -> None:
    """The account owns them, its subscribers are told, and the guest is deleted."""
    ada, guest = await new_ada(backend), await new_guest(backend)
    user = await authentication.viewer_user(guest)
    sessions = [await add_session(user, "hello"), await add_session(user, "world")]
    with backend.hub.subscribe(user_topic(ada.user_id)) as heard:
        new_login = await backend.authentication.sign_in(
            guest, email=EMAIL, password=PASSWORD, claim_guest_sessions=True
        )
    assert new_login.user.id == ada.user_id
    events = events_of(heard)
    assert [e.session_id for e in events if isinstance(e, SessionChanged)] == [
        session.id for session in sessions
    ]
    content = await dump()
    assert {row["user_id"] for row in content["sessions"]} == {ada.user_id}
    assert [row["id"] for row in content["users"]] == [ada.user_id]


async def test_a_guests_conversations_stay_where_they_are_otherwise(backend: Backend) -> None:
    """Without the flag nothing moves; a guest without conversations is deleted."""
    ada, guest, idle = await new_ada(backend), await new_guest(backend), await new_guest(backend)
    session = await add_session(await authentication.viewer_user(guest), "hello")
    await backend.authentication.sign_in(guest, email=EMAIL, password=PASSWORD)
    await backend.authentication.sign_in(idle, email=EMAIL, password=PASSWORD)
    content = await dump()
    assert [row["user_id"] for row in content["sessions"] if row["id"] == session.id] == [
        guest.user_id
    ]
    assert {row["id"] for row in content["users"]} == {ada.user_id, guest.user_id}


async def test_another_accounts_conversations_never_come_along(backend: Backend) -> None:
    """Only a guest's conversations can be claimed."""
    await new_ada(backend)
    bob = await viewer_of(
        backend,
        await backend.authentication.sign_up(None, email="b@example.com", password=PASSWORD),
    )
    session = await add_session(await authentication.viewer_user(bob), "hello")
    await backend.authentication.sign_in(
        bob, email=EMAIL, password=PASSWORD, claim_guest_sessions=True
    )
    assert (await Session.filter(id=session.id).using_db(reader()).get()).user_id == bob.user_id


async def test_a_guest_stays_the_same_guest(backend: Backend) -> None:
    """Signing in as a guest again gives a new login for the same user, account or guest."""
    guest, ada = await new_guest(backend), await new_ada(backend)
    for viewer in (guest, ada):
        new_login = await backend.authentication.sign_in_as_guest(viewer)
        assert new_login.user.id == viewer.user_id
    assert len((await dump())["logins"]) == 2


async def test_signing_out_ends_the_login_and_its_streams(backend: Backend) -> None:
    """A second sign-out has nothing to do."""
    new_login = await backend.authentication.sign_up(None, email=EMAIL, password=PASSWORD)
    ada = await viewer_of(backend, new_login)
    with backend.hub.subscribe(access_topic(ada.access_id)) as heard:
        assert await authentication.sign_out(backend.transactions, ada)
    assert events_of(heard) == [AccessRevoked(ada.access_id)]
    assert await authentication.viewer_of_login(backend.clock, new_login.secret) is None
    assert not await authentication.sign_out(backend.transactions, ada)
    assert not await authentication.sign_out(backend.transactions, None)


async def test_a_login_ends_after_thirty_days(backend: Backend, clock: Clock) -> None:
    """It expires to the microsecond; the next sign-in deletes it."""
    new_login = await backend.authentication.sign_up(None, email=EMAIL, password=PASSWORD)
    viewer = await viewer_of(backend, new_login)
    clock.pass_by(seconds=LOGIN_LIFE.total_seconds() - 0.000001)
    assert await authentication.viewer_of_login(backend.clock, new_login.secret) == viewer
    clock.pass_by(seconds=0.000001)
    assert await authentication.viewer_of_login(backend.clock, new_login.secret) is None
    assert await revocation.revoked_among(backend.clock, [viewer.access_id]) == {viewer.access_id}
    await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    assert len((await dump())["logins"]) == 1


async def test_expired_logins_are_swept_away(backend: Backend, clock: Clock) -> None:
    """Valid logins stay."""
    await new_ada(backend)
    clock.pass_by(days=29)
    guest = await new_guest(backend)
    clock.pass_by(days=1)
    assert await revocation.delete_expired_logins(backend.clock) == 1
    assert [row["id"] for row in (await dump())["logins"]] == [guest.login_id]


@pytest.mark.parametrize("secret", ["", "x", "\0", "\ud800", "x" * 10_000])
async def test_any_cookie_is_somebodys_or_nobodys(backend: Backend, secret: str) -> None:
    """An unknown secret means signed out, never an error."""
    assert await authentication.viewer_of_login(backend.clock, secret) is None


async def test_a_token_can_not_sign_anybody_in(backend: Backend) -> None:
    """Otherwise a read-only token could take over a guest's account."""
    async with refused(Forbidden):
        await backend.authentication.sign_up(TOKEN, email=EMAIL, password=PASSWORD)
    async with refused(Forbidden):
        await backend.authentication.sign_in(TOKEN, email=EMAIL, password=PASSWORD)
    async with refused(Forbidden):
        await backend.authentication.sign_in_as_guest(TOKEN)
    async with refused(Forbidden):
        await authentication.sign_out(backend.transactions, TOKEN)


async def test_the_viewers_row(backend: Backend) -> None:
    """A signed-out viewer, or one deleted meanwhile, is refused."""
    ada = await new_ada(backend)
    assert (await authentication.viewer_user(ada)).email == EMAIL
    async with refused(Unauthenticated):
        await authentication.viewer_user(None)
    await authentication.delete_user(backend.transactions, EMAIL)
    async with refused(Unauthenticated):
        await authentication.viewer_user(ada)
