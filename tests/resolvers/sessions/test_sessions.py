"""Reading, renaming and deleting one conversation; transcript cursors."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.events import Gone
from models import ids
from models.repositories.running import running_by_status
from models.tables import Session, SessionStatus
from resolvers.nodes import node
from resolvers.pages import Page
from resolvers.refusals import BadUserInput, Forbidden, NotFound, Unauthenticated
from resolvers.sessions import history, manage
from resolvers.transcripts import cursors, streams
from resolvers.transcripts.watching import StreamEnd
from resolvers.viewer import TokenScope
from tests.dump import dump
from tests.resolvers.names import SHOWABLE, UNSHOWABLE
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, message, taken

UNKNOWN = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"


async def test_a_session_is_read_by_its_owner_only(stage: Stage) -> None:
    """Everybody else gets a refusal that names the reason and the field."""
    session = await stage.start()
    other = await stage.somebody_else()
    assert (await manage.get_session(stage.viewer, session.id)).id == session.id

    async with refused(Unauthenticated):
        await manage.get_session(None, session.id)
    async with refused(Forbidden, ["id"]):
        await manage.get_session(other, session.id)
    async with refused(NotFound, ["id"]):
        await manage.get_session(stage.viewer, UNKNOWN)
    for malformed in (
        "",
        "ses_",
        session.id.upper(),
        session.id + "0",
        other.user_id,
        "\ud800" * 30,
    ):
        async with refused(BadUserInput, ["id"]):
            await manage.get_session(stage.viewer, malformed)


@pytest.mark.parametrize("status", ["STARTING", "ACTIVE", "ENDED"])
async def test_a_session_can_be_named_at_any_time(stage: Stage, status: str) -> None:
    """Only the title and the version change."""
    if status == "STARTING":
        session = await stage.start()
    else:
        session, agent = await stage.talk()
        if status == "ENDED":
            await agent.bye()
    before = await stage.read(session)

    named = await manage.rename_session(
        stage.backend.transactions, stage.viewer, session.id, "  Tea  time "
    )

    assert (named.title, named.version) == ("Tea  time", before.version + 1)
    after = await stage.read(session)
    changed = {name for name, value in vars(before).items() if vars(after).get(name) != value}
    assert {name for name in changed if not name.startswith("_")} == {"title", "version"}


async def test_the_same_name_again_is_no_change(stage: Stage) -> None:
    """The version counts changes, not requests."""
    session = await stage.start(title="Tea")
    before = await dump()

    await manage.rename_session(stage.backend.transactions, stage.viewer, session.id, "Tea")

    assert await dump() == before


@pytest.mark.parametrize("title", UNSHOWABLE)
async def test_a_title_that_can_not_be_shown_is_refused(stage: Stage, title: str) -> None:
    """A title has 1 to 200 characters on one line, at least one of them visible."""
    session = await stage.start()

    async with refused(BadUserInput, ["title"]):
        await manage.rename_session(stage.backend.transactions, stage.viewer, session.id, title)


@pytest.mark.parametrize("title", SHOWABLE)
async def test_a_title_may_be_of_any_language(stage: Stage, title: str) -> None:
    """It is kept unchanged, even if Python does not consider it printable."""
    started = await stage.start(title=title)

    named = await manage.rename_session(
        stage.backend.transactions, stage.viewer, started.id, title * 2
    )

    assert started.title == title
    assert named.title == title * 2


async def test_whose_session_it_is_decides_who_renames_and_deletes(stage: Stage) -> None:
    """Each has its own scope; other callers are refused, and nothing changes."""
    session = await stage.start()
    other = await stage.somebody_else()
    writing = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_WRITE}))
    deleting = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_DELETE}))
    backend = stage.backend

    async with refused(Unauthenticated):
        await manage.rename_session(backend.transactions, None, session.id, "x")
    async with refused(Forbidden):
        await manage.rename_session(backend.transactions, deleting, session.id, "x")
    async with refused(Forbidden, ["sessionId"]):
        await manage.rename_session(backend.transactions, other, session.id, "x")
    async with refused(Unauthenticated):
        await manage.delete_session(backend.transactions, None, session.id)
    async with refused(Forbidden):
        await manage.delete_session(backend.transactions, writing, session.id)
    async with refused(Forbidden, ["sessionId"]):
        await manage.delete_session(backend.transactions, other, session.id)
    async with refused(NotFound, ["sessionId"]):
        await manage.delete_session(backend.transactions, stage.viewer, UNKNOWN)


async def test_deleting_leaves_no_word(stage: Stage) -> None:
    """Utterances, preview, opening and title are deleted from the file; only a tombstone stays."""
    session, agent = await stage.talk()
    await agent.say("a very private word")
    assert "private" in (await stage.read(session)).shown_title
    await stage.type(session, "another private word")
    await manage.rename_session(
        stage.backend.transactions, stage.viewer, session.id, "private title"
    )

    async with stage.commands(session) as commands:
        await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)
        assert taken(commands) == [Gone()]

    assert "private" not in str(await dump())
    tombstone = await stage.read(session)
    assert tombstone.deleted_at == stage.clock()
    assert tombstone.utterance_count == 0
    page = await history.session_history(stage.viewer, Page())
    assert page.items == []


async def test_a_long_conversation_is_deleted_piece_by_piece(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting 100,000 utterances blocks nobody; the remaining ones can't be read meanwhile."""
    monkeypatch.setattr(manage, "WORDS_AT_ONCE", 3)
    session, agent = await stage.talk()
    for number in range(8):
        await agent.say(f"private {number}", f"SG_{number}")
    await agent.bye()
    watcher = await stage.watch(session)

    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    left = await stage.rows(session)
    assert len(left) == 5
    assert await node(stage.viewer, left[0].id) is None
    page = await history.session_history(
        stage.viewer, Page(), history.SessionFilter(search="private")
    )
    assert page.items == []
    [only] = await watcher.rest()
    assert (only.utterances, only.end) == ((), StreamEnd("SESSION_DELETED", False))
    assert sum((await running_by_status()).values()) == 0

    await stage.pass_by(0)
    assert len(await stage.rows(session)) == 2
    await stage.pass_by(0)
    assert "private" not in str(await dump())
    before = await dump()
    await stage.pass_by(0)
    assert await dump() == before


async def test_a_reader_of_a_long_past_gets_no_word_after_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay stops at the deletion, although some rows still exist."""
    monkeypatch.setattr(manage, "WORDS_AT_ONCE", 1)
    monkeypatch.setattr(streams, "PAGE", 2)
    session, agent = await stage.talk()
    for number in range(8):
        await agent.say(f"private {number}", f"SG_{number}")
    watcher = await stage.watch(session)
    assert len((await watcher.next()).utterances) == 2

    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    [last] = await watcher.rest()
    assert (last.utterances, last.end) == ((), StreamEnd("SESSION_DELETED", False))


async def test_what_is_deleted_is_unknown_from_then_on(stage: Stage) -> None:
    """Every use case reports NOT_FOUND, including a second deletion."""
    session = await stage.start()
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)
    backend, viewer = stage.backend, stage.viewer

    async with refused(NotFound, ["id"]):
        await manage.get_session(viewer, session.id)
    async with refused(NotFound, ["sessionId"]):
        await manage.rename_session(backend.transactions, viewer, session.id, "x")
    async with refused(NotFound, ["sessionId"]):
        await manage.delete_session(backend.transactions, viewer, session.id)
    async with refused(NotFound, ["sessionId"]):
        await backend.saving.save_session(viewer, session.id, [message("a")])
    async with refused(NotFound, ["sessionId"]):
        await stage.type(session, "a")
    async with refused(NotFound, ["sessionId"]):
        await stage.watch(session)


async def test_no_deadline_wakes_a_deleted_session(stage: Stage) -> None:
    """No deadline acts on it, whatever its status was and whatever its agent does."""
    session, agent = await stage.talk()
    await agent.lose()
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)
    asked = len(stage.agents.asked)

    for _ in range(3):
        await stage.pass_by(60)
    await stage.media.person_left(session.id)

    assert len(stage.agents.asked) == asked
    assert (await stage.read(session)).status is SessionStatus.ACTIVE
    await stage.pass_by(25 * 3600)
    assert not await Session.filter(id=session.id).exists()


async def test_what_is_deleted_is_not_counted_as_running(stage: Stage) -> None:
    """Its tombstone keeps the old status, but only other sessions are counted."""
    await stage.start()
    deleted = await stage.start()
    await manage.delete_session(stage.backend.transactions, stage.viewer, deleted.id)
    _, agent = await stage.talk()
    await agent.bye()

    counted = await running_by_status()

    assert counted == {"STARTING": 1, "ACTIVE": 0, "FAILED": 0, "ENDING": 0}


# ---------------------------------------------------------------------- cursors

ids_of_sessions = st.builds(ids.new_session)


@given(ids_of_sessions, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_cursor_says_what_it_was_made_of(session_id: str, seq: int, further: int) -> None:
    """The round trip works for every place in every session that is long enough."""
    session = Session(id=session_id, last_seq=max(seq, further))

    assert cursors.decode_cursor(cursors.encode_cursor(session_id, seq), session) == seq


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,64}", fullmatch=True))
def test_anything_else_is_no_cursor(text: str) -> None:
    """It is refused, never a fault of the server."""
    session = Session(id=UNKNOWN, last_seq=100)

    with pytest.raises(BadUserInput) as raised:
        cursors.decode_cursor(text, session)
    assert raised.value.field == ["after"]


@given(st.integers(0, 100), st.data())
def test_a_changed_cursor_is_refused_or_another_place(seq: int, data: st.DataObject) -> None:
    """Changing one character never leads out of the session."""
    session = Session(id=UNKNOWN, last_seq=100)
    cursor = cursors.encode_cursor(UNKNOWN, seq)
    place = data.draw(st.integers(0, len(cursor) - 1))
    changed = cursor[:place] + data.draw(st.characters()) + cursor[place + 1 :]

    try:
        found = cursors.decode_cursor(changed, session)
    except BadUserInput:
        return
    assert 0 <= found <= 100
