"""Events of a transaction are published after its commit, in commit order, or never."""

import asyncio

import pytest

from hub.events import AccessRevoked, Event
from models.database import Connection, NotStored, reader
from models.tables import User
from resolvers.backend import Backend
from resolvers.transcripts import transactions
from resolvers.transcripts.transaction import Transaction
from tests.resolvers.stage import not_stored


@pytest.fixture
def heard(backend: Backend) -> list[Event]:
    """Collect the published events."""
    left: list[Event] = []
    backend.hub.on(AccessRevoked, left.append)
    return left


async def add(conn: Connection) -> User:
    return await User.create(using_db=conn)


async def test_events_leave_after_the_commit(backend: Backend, heard: list[Event]) -> None:
    """Events are not published when emitted; subscribers can already read the data."""
    early: list[list[Event]] = []

    async def work(transaction: Transaction) -> None:
        await add(transaction.conn)
        transaction.emit(AccessRevoked("first"))
        transaction.emit(AccessRevoked("second"))
        early.append(list(heard))

    await backend.transactions.run(work)

    assert early == [[]]
    assert heard == [AccessRevoked("first"), AccessRevoked("second")]
    assert await User.all().using_db(reader()).count() == 1


async def test_what_fails_tells_nobody(backend: Backend, heard: list[Event]) -> None:
    """Events emitted before the failure are dropped."""

    async def work(transaction: Transaction) -> None:
        await add(transaction.conn)
        transaction.emit(AccessRevoked("never"))
        raise LookupError

    with pytest.raises(LookupError):
        await backend.transactions.run(work)

    assert heard == []
    assert not await User.all().using_db(reader()).exists()


async def test_what_is_not_stored_tells_nobody(
    backend: Backend, heard: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the caller gets the error."""
    monkeypatch.setattr(transactions, "transact", not_stored)

    async def work(transaction: Transaction) -> None:
        transaction.emit(AccessRevoked("never"))

    with pytest.raises(NotStored):
        await backend.transactions.run(work)

    assert heard == []


async def test_events_leave_although_the_caller_is_gone(
    backend: Backend, heard: list[Event]
) -> None:
    """Events follow the commit order, each before anything of the next transaction."""
    began, go_on = asyncio.Event(), asyncio.Event()
    seen: list[list[Event]] = []

    async def slow(transaction: Transaction) -> None:
        began.set()
        await go_on.wait()
        transaction.emit(AccessRevoked("slow"))

    async def next_one(transaction: Transaction) -> None:
        seen.append(list(heard))
        transaction.emit(AccessRevoked("next"))

    leaving = asyncio.create_task(backend.transactions.run(slow))
    await began.wait()
    following = asyncio.create_task(backend.transactions.run(next_one))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    await following

    assert seen == [[AccessRevoked("slow")]]
    assert heard == [AccessRevoked("slow"), AccessRevoked("next")]
