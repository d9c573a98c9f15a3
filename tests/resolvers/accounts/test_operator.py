"""What an operator may do with accounts."""

import pytest

from hub.events import AccessRevoked, access_topic
from models.database import reader, transact
from models.tables import Login, User
from resolvers.accounts import authentication, credentials
from resolvers.backend import Backend
from resolvers.refusals import BadUserInput, Conflict, NotFound, Unauthenticated
from tests.dump import dump
from tests.resolvers.accounts.people import (
    EMAIL,
    PASSWORD,
    events_of,
    new_ada,
    new_guest,
    viewer_of,
)
from tests.resolvers.refused import refused
from tests.rows import add_session

pytestmark = pytest.mark.usefixtures("quick_passwords")


async def test_an_operator_resets_a_password(backend: Backend) -> None:
    """The old password and every login stop working, and their streams end."""
    ada = await new_ada(backend)
    with backend.hub.subscribe(access_topic(ada.access_id)) as heard:
        await authentication.reset_password(backend.transactions, EMAIL.upper(), "battery staple")
    assert events_of(heard) == [AccessRevoked(ada.access_id)]
    async with refused(Unauthenticated):
        await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    await backend.authentication.sign_in(None, email=EMAIL, password="battery staple")
    async with refused(NotFound, ["email"]):
        await authentication.reset_password(
            backend.transactions, "bob@example.com", "battery staple"
        )
    async with refused(BadUserInput, ["password"]):
        await authentication.reset_password(backend.transactions, EMAIL, "short")


async def test_a_sign_in_that_a_reset_overtook_is_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password was right when checked, but was reset before the login was created."""
    await new_ada(backend)
    check = credentials.is_password

    async def overtaken(password: str, password_hash: str | None) -> bool:
        is_right = await check(password, password_hash)
        await authentication.reset_password(backend.transactions, EMAIL, "battery staple")
        return is_right

    monkeypatch.setattr(credentials, "is_password", overtaken)
    with pytest.raises(Unauthenticated):
        await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    assert (await dump())["logins"] == []


async def test_an_operator_makes_lists_and_deletes_accounts(backend: Backend) -> None:
    """Deleting an account deletes everything it owns; guests are not listed."""
    await new_guest(backend)
    user = await authentication.create_user(backend.clock, EMAIL, PASSWORD)
    assert [listed.id for listed in await authentication.list_users()] == [user.id]
    async with refused(Conflict, ["email"]):
        await authentication.create_user(backend.clock, EMAIL, PASSWORD)
    ada = await viewer_of(
        backend, await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    )
    await add_session(user, "hello")
    with backend.hub.subscribe(access_topic(ada.access_id)) as heard:
        await authentication.delete_user(backend.transactions, EMAIL)
    assert events_of(heard) == [AccessRevoked(ada.access_id)]
    content = await dump()
    assert len(content["users"]) == len(content["logins"]) == 1
    assert content["sessions"] == content["utterances"] == []
    async with refused(NotFound, ["email"]):
        await authentication.delete_user(backend.transactions, EMAIL)


async def test_rows_of_a_deleted_user_are_gone_with_it(backend: Backend) -> None:
    """A login does not outlive its user, however the row was deleted."""
    ada = await new_ada(backend)
    await transact(lambda conn: User.filter(id=ada.user_id).using_db(conn).delete())
    assert await Login.all().using_db(reader()).count() == 0
