"""Paging through the history and through transcripts."""

from datetime import timedelta

import pytest

from models import ids
from models.database import reader, transact
from models.tables import Session, SessionStatus, User, Utterance
from resolvers.backend import Backend
from resolvers.pages import Page
from resolvers.refusals import BadUserInput, Forbidden, Unauthenticated
from resolvers.sessions import history
from resolvers.sessions.history import (
    MatchingUtterances,
    SessionFilter,
    session_history,
    session_utterances,
    session_utterances_of_many,
    utterance_cursor,
)
from resolvers.viewer import TokenScope, Viewer
from tests.queries import read_statements
from tests.resolvers.people import viewer_for
from tests.resolvers.refused import refused
from tests.rows import START, add_session, add_sessions, add_user, utterance


@pytest.fixture
async def ada(backend: Backend) -> Viewer:
    return await viewer_for(backend, await add_user("ada@example.com"))


@pytest.fixture
async def bob(backend: Backend) -> Viewer:
    return await viewer_for(backend, await add_user("bob@example.com"))


async def _add(viewer: Viewer, *texts: str) -> Session:
    return await add_session(await User.get(id=viewer.user_id), *texts)


async def _all_ids(
    backend: Backend, viewer: Viewer, wanted: SessionFilter | None = None, size: int = 3
) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = await session_history(viewer, Page(first=size, after=after), wanted)
        found += [entry.session.id for entry in page.items]
        if not page.has_next:
            return found
        after = page.cursors[-1]


async def test_every_page_of_the_history(backend: Backend, ada: Viewer, bob: Viewer) -> None:
    """Newest first, only the viewer's, each once; flags and count are right on every page."""
    sessions = [await _add(ada, "hello") for _ in range(7)]
    await _add(bob, "hello")
    await _add(ada)
    assert await _all_ids(backend, ada) == [session.id for session in sessions[::-1]]
    first = await session_history(ada, Page(first=3))
    assert (first.has_previous, first.has_next, await first.count()) == (False, True, 7)
    assert len(first.cursors) == 3
    assert {await entry.match() for entry in first.items} == {None}
    last = await session_history(ada, Page(first=3, after=first.cursors[2]))
    last = await session_history(ada, Page(first=3, after=last.cursors[2]))
    assert (last.has_previous, last.has_next, await last.count()) == (True, False, 7)
    assert len(last.items) == 1


async def test_the_history_from_its_end(backend: Backend, ada: Viewer) -> None:
    """`last` and `before` page through the same conversations in the opposite direction."""
    sessions = [await _add(ada, "hello") for _ in range(7)]
    ids = [session.id for session in sessions[::-1]]

    last = await session_history(ada, Page(last=3))
    assert [entry.session.id for entry in last.items] == ids[4:]
    assert (last.has_previous, last.has_next) == (True, False)
    middle = await session_history(ada, Page(last=3, before=last.cursors[0]))
    assert [entry.session.id for entry in middle.items] == ids[1:4]
    assert (middle.has_previous, middle.has_next) == (True, True)
    first = await session_history(ada, Page(last=3, before=middle.cursors[0]))
    assert [entry.session.id for entry in first.items] == ids[:1]
    assert (first.has_previous, first.has_next) == (False, True)
    between = Page(first=5, after=first.cursors[0], before=last.cursors[0])
    found = await session_history(ada, between)
    assert [entry.session.id for entry in found.items] == ids[1:4]
    assert await found.count() == 7


async def test_pages_stay_in_place_while_conversations_come_and_go(
    backend: Backend, ada: Viewer
) -> None:
    """New conversations shift nothing, and the cursor's own conversation may be deleted."""
    sessions = [await _add(ada, "hello") for _ in range(6)]
    page = await session_history(ada, Page(first=2))
    await _add(ada, "newer")
    here = page.items[-1].session.id
    await transact(lambda conn: Session.filter(id=here).using_db(conn).delete())
    rest = await session_history(ada, Page(first=10, after=page.cursors[-1]))
    assert [entry.session.id for entry in rest.items] == [s.id for s in sessions[3::-1]]


async def test_conversations_of_the_same_moment_are_told_apart(
    backend: Backend, ada: Viewer
) -> None:
    """No page skips one or shows it twice."""
    user = await User.get(id=ada.user_id)
    sessions = await add_sessions(user, [["hello"]] * 10, at=START)
    wanted = sorted((session.id for session in sessions), reverse=True)
    assert await _all_ids(backend, ada, size=3) == wanted


async def test_a_search_shows_where_it_was_said(backend: Backend, ada: Viewer) -> None:
    """Every entry has the matching utterance and a snippet; pages stay within the search."""
    hits = [await _add(ada, "hi", f"The Café {number}") for number in range(5)]
    await _add(ada, "tea")
    page = await session_history(ada, Page(first=2), SessionFilter(search="cafe"))
    assert [entry.session.id for entry in page.items] == [hits[4].id, hits[3].id]
    match = await page.items[0].match()
    assert match is not None
    assert match.utterance.text == "The Café 4"
    assert match.snippet == "The <mark>Café</mark> 4"
    assert await page.count() == 5
    assert await _all_ids(backend, ada, SessionFilter(search="cafe")) == [
        session.id for session in hits[::-1]
    ]


@pytest.mark.parametrize(("search", "count"), [("", 1), ("  ", 1), (None, 1), ("?!", 0), ("🙂", 0)])
async def test_a_search_without_a_word(
    backend: Backend, ada: Viewer, search: str | None, count: int
) -> None:
    """A blank search is no search; one without a word finds nothing."""
    await _add(ada, "hello")
    page = await session_history(ada, Page(), SessionFilter(search=search))
    assert len(page.items) == await page.count() == count


async def test_the_filters_reach_the_query(backend: Backend, ada: Viewer) -> None:
    """Status, agent and time filter; an empty list of statuses does not."""
    session = await _add(ada, "hello")
    moment = session.created_at

    async def count(**wanted: object) -> int:
        some = SessionFilter(**wanted)  # type: ignore[arg-type] # any of its fields
        return len((await session_history(ada, Page(), some)).items)

    assert await count(status=[SessionStatus.ENDED, SessionStatus.ENDED]) == 1
    assert await count(status=[SessionStatus.ACTIVE]) == 0
    assert await count(status=[]) == 1
    assert await count(agent_name="voxql") == 1
    assert await count(agent_name="other") == 0
    assert await count(created_from=moment) == 1
    assert await count(created_before=moment) == 0
    assert await count(created_from=moment + timedelta(microseconds=1)) == 0


async def test_a_cursor_belongs_to_its_viewer_and_filter(
    backend: Backend, ada: Viewer, bob: Viewer
) -> None:
    """It is refused with another viewer, filter or list."""
    await _add(ada, "hello")
    session = await _add(bob, "hello")
    cursor = (await session_history(ada, Page())).cursors[0]
    async with refused(BadUserInput, ["after"]):
        await session_history(bob, Page(after=cursor))
    for wanted in (
        SessionFilter(search="hello"),
        SessionFilter(status=[SessionStatus.ENDED]),
        SessionFilter(agent_name="voxql"),
        SessionFilter(created_from=START),
        SessionFilter(created_before=START),
    ):
        async with refused(BadUserInput, ["after"]):
            await session_history(ada, Page(after=cursor), wanted)
    async with refused(BadUserInput, ["after"]):
        await session_utterances(bob, session, Page(after=cursor))


async def test_what_the_history_refuses(backend: Backend, ada: Viewer) -> None:
    """Bad viewers, token scopes, page arguments and agent names are refused."""
    writer = Viewer(ada.user_id, False, None, "tok_x", frozenset({TokenScope.SESSIONS_WRITE}), None)
    async with refused(Unauthenticated):
        await session_history(None, Page())
    async with refused(Forbidden, says="SESSIONS_READ"):
        await session_history(writer, Page())
    async with refused(BadUserInput, ["last"]):
        await session_history(ada, Page(first=1, last=1))
    async with refused(BadUserInput, ["last"]):
        await session_history(ada, Page(last=101))
    async with refused(BadUserInput, ["first"]):
        await session_history(ada, Page(first=101))
    async with refused(BadUserInput, ["before"]):
        await session_history(ada, Page(before="nonsense"))
    async with refused(BadUserInput, ["filter", "agentName"]):
        await session_history(ada, Page(), SessionFilter(agent_name="\ud800"))


@pytest.mark.sqlite
async def test_a_page_costs_the_same_few_statements_whatever_its_length(
    backend: Backend, ada: Viewer
) -> None:
    """One statement without a search, up to four with one, and one more for the count."""
    for _ in range(30):
        await _add(ada, "hello", "world")
    for size in (1, 30):
        async with read_statements() as statements:
            page = await session_history(ada, Page(first=size))
        assert len(statements) == 1
        async with read_statements() as statements:
            await page.count()
        assert len(statements) == 1
        async with read_statements() as statements:
            await session_history(ada, Page(first=size), SessionFilter(search="hello"))
        assert sum(statement.startswith("SELECT") for statement in statements) <= 4


async def test_the_transcript_from_both_ends(backend: Backend, ada: Viewer) -> None:
    """Forward, backward or between cursors, rows come in the order of the conversation."""
    session = await _add(ada, *(f"text {number}" for number in range(7)))

    async def texts(**page: object) -> tuple[list[str], bool, bool]:
        given = Page(**page)  # type: ignore[arg-type] # any of its fields
        found = await session_utterances(ada, session, given)
        assert len(found.cursors) == len(found.items)
        assert await found.count() == 7
        return [row.text[-1] for row in found.items], found.has_previous, found.has_next

    cursors = (await session_utterances(ada, session, Page())).cursors
    assert await texts() == (list("0123456"), False, False)
    assert await texts(first=3) == (list("012"), False, True)
    assert await texts(first=3, after=cursors[2]) == (list("345"), True, True)
    assert await texts(first=3, after=cursors[5]) == (list("6"), True, False)
    assert await texts(last=3) == (list("456"), True, False)
    assert await texts(last=3, before=cursors[4]) == (list("123"), True, True)
    assert await texts(last=3, before=cursors[1]) == (list("0"), False, True)
    assert await texts(first=9, after=cursors[1], before=cursors[5]) == (list("234"), True, True)
    assert await texts(last=2, after=cursors[1], before=cursors[5]) == (list("34"), True, True)


async def test_only_final_or_only_interim_utterances(backend: Backend, ada: Viewer) -> None:
    """A cursor of one list is refused in the other."""
    session = await _add(ada, "settled")
    interim = utterance(session, 1, "may change", is_final=False)
    await transact(lambda conn: interim.save(using_db=conn))
    both = await session_utterances(ada, session, Page())
    final = await session_utterances(ada, session, Page(), is_final=True)
    other = await session_utterances(ada, session, Page(), is_final=False)
    assert [row.text for row in both.items] == ["settled", "may change"]
    assert [row.text for row in final.items] == ["settled"]
    assert [row.text for row in other.items] == ["may change"]
    assert (await both.count(), await final.count(), await other.count()) == (2, 1, 1)
    async with refused(BadUserInput, ["after"]):
        await session_utterances(ada, session, Page(after=final.cursors[0]))


async def test_the_lines_that_a_search_finds_in_a_transcript(
    backend: Backend, ada: Viewer, bob: Viewer
) -> None:
    """Lines with any of the words are found in order, paged and counted on their own."""
    session = await _add(
        ada, "Green tea?", "Coffee.", "Teapots & cups", "Yes.", "The green ones", "Tea."
    )
    await _add(ada, "Tea in another conversation")
    await _add(bob, "Tea of somebody else")

    async def found(page: Page, words: str | None = "GREEN tea") -> list[str]:
        slice_ = await session_utterances(ada, session, page, words=words)
        return [utterance.text for utterance in slice_.items]

    page = await session_utterances(ada, session, Page(), words="GREEN tea")
    assert isinstance(page, MatchingUtterances)
    assert await page.marked() == [
        "<mark>Green</mark> <mark>tea</mark>?",
        "<mark>Teapots</mark> &amp; cups",
        "The <mark>green</mark> ones",
        "<mark>Tea</mark>.",
    ]
    assert (await page.count(), page.has_next) == (4, False)
    first = await session_utterances(ada, session, Page(first=1), words="GREEN tea")
    assert (first.has_next, await first.count()) == (True, 4)
    assert await found(Page(first=1, after=first.cursors[0])) == ["Teapots & cups"]
    assert await found(Page(last=1)) == ["Tea."]
    assert await found(Page(last=1, before=page.cursors[3])) == ["The green ones"]
    assert await found(Page(), "nothing") == await found(Page(), "?!") == []
    none = await session_utterances(ada, session, Page(), words="?!")
    assert await none.count() == 0
    assert len(await found(Page(), " ")) == len(await found(Page(), None)) == 6


async def test_a_search_of_a_transcript_leads_to_the_lines_around(
    backend: Backend, ada: Viewer
) -> None:
    """A cursor of a found line is also that line's cursor among all lines."""
    session = await _add(ada, "one", "two", "three", "four", "five")
    found = await session_utterances(ada, session, Page(), words="three")
    [cursor] = found.cursors

    assert cursor == utterance_cursor(found.items[0])
    before = await session_utterances(ada, session, Page(last=1, before=cursor))
    after = await session_utterances(ada, session, Page(first=1, after=cursor))
    assert [each.text for each in before.items + after.items] == ["two", "four"]
    assert (before.has_previous, after.has_next) == (True, True)


async def test_a_searched_page_of_very_long_texts_is_shorter(backend: Backend, ada: Viewer) -> None:
    """Each text is scanned again for the marks, so the page's text is limited."""
    session = await _add(ada, *["tea " * 8_000] * 5)

    page = await session_utterances(ada, session, Page(), words="tea")

    assert isinstance(page, MatchingUtterances)
    assert (len(page.items), page.has_next, await page.count()) == (3, True, 5)
    assert [text.count("<mark>") for text in await page.marked()] == [8_000] * 3


async def test_what_the_transcript_refuses(backend: Backend, ada: Viewer, bob: Viewer) -> None:
    """Bad sessions, viewers, page arguments and cursors are refused."""
    session, other = await _add(ada, "hello"), await _add(ada, "world")
    cursor = (await session_utterances(ada, other, Page())).cursors[0]
    async with refused(Forbidden, ["sessionId"]):
        await session_utterances(bob, session, Page())
    async with refused(Unauthenticated):
        await session_utterances(None, session, Page())
    async with refused(BadUserInput, ["first"]):
        await session_utterances(ada, session, Page(first=501))
    async with refused(BadUserInput, ["last"]):
        await session_utterances(ada, session, Page(last=501))
    async with refused(BadUserInput, ["last"]):
        await session_utterances(ada, session, Page(first=1, last=1))
    async with refused(BadUserInput, ["before"]):
        await session_utterances(ada, session, Page(last=1, before=cursor))


@pytest.mark.sqlite
async def test_a_long_transcript_comes_in_pages_of_five_hundred(
    backend: Backend, ada: Viewer
) -> None:
    """This is also the default size; each page takes one statement."""
    session = await _add(ada, *["hello"] * 501)
    async with read_statements() as statements:
        page = await session_utterances(ada, session, Page())
    assert (len(page.items), page.has_next, len(statements)) == (500, True, 1)
    assert await Utterance.all().using_db(reader()).count() == 501
    assert ids.kind_of(page.items[0].id) == ids.UTTERANCE


async def test_a_page_of_very_long_texts_is_shorter(
    backend: Backend, ada: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are shorter in both directions, lose nothing, and hold one oversized text alone."""
    monkeypatch.setattr(history, "PAGE_TEXT", 10)
    texts = ["a" * 6, "b" * 6, "c" * 20, "d", "e"]
    session = await _add(ada, *texts)
    forward: list[list[str]] = []
    page = await session_utterances(ada, session, Page(first=5))
    while True:
        forward.append([row.text for row in page.items])
        if not page.has_next:
            break
        page = await session_utterances(ada, session, Page(first=5, after=page.cursors[-1]))
    assert forward == [[texts[0]], [texts[1]], [texts[2]], ["d", "e"]]

    last = await session_utterances(ada, session, Page(last=5))
    assert ([row.text for row in last.items], last.has_previous) == (["d", "e"], True)
    [many] = await session_utterances_of_many(ada, [session], Page(last=5))
    assert [row.text for row in many.items] == ["d", "e"]


@pytest.mark.parametrize(
    "page", [Page(), Page(first=1), Page(first=2), Page(first=3), Page(last=1), Page(last=2)]
)
@pytest.mark.parametrize("is_final", [None, True, False])
async def test_the_transcripts_of_a_list_are_those_of_its_sessions(
    backend: Backend, ada: Viewer, page: Page, is_final: bool | None
) -> None:
    """Reading them together gives the same pages as reading each alone."""
    sessions = [await _add(ada, *["hello"] * length) for length in (0, 1, 2, 3)]
    interim = utterance(sessions[3], 9, "may change", is_final=False)
    await transact(lambda conn: interim.save(using_db=conn))
    sessions.append(sessions[1])
    many = await session_utterances_of_many(ada, sessions, page, is_final)
    for session, found in zip(sessions, many, strict=True):
        alone = await session_utterances(ada, session, page, is_final)
        assert found.items == alone.items
        assert found.cursors == alone.cursors
        assert (found.has_next, found.has_previous) == (alone.has_next, alone.has_previous)
        assert await found.count() == await alone.count()


@pytest.mark.sqlite
async def test_the_transcripts_of_a_list_cost_two_statements(backend: Backend, ada: Viewer) -> None:
    """Two statements serve any number of sessions; one more gets all the counts."""
    sessions = [await _add(ada, "hello", "world") for _ in range(100)]
    async with read_statements() as statements:
        many = await session_utterances_of_many(ada, sessions, Page(first=1))
    assert len(statements) == 2
    assert {len(found.items) for found in many} == {1}
    async with read_statements() as statements:
        assert [await found.count() for found in many] == [2] * 100
    assert len(statements) == 1


async def test_the_transcripts_of_a_list_refuse_what_one_refuses(
    backend: Backend, ada: Viewer, bob: Viewer
) -> None:
    """One session of another user refuses the whole list."""
    sessions = [await _add(ada, "hello"), await _add(bob, "hello")]
    async with refused(Forbidden, ["sessionId"]):
        await session_utterances_of_many(ada, sessions, Page())
    async with refused(Unauthenticated):
        await session_utterances_of_many(None, sessions[:1], Page())
    async with refused(BadUserInput, ["first"]):
        await session_utterances_of_many(ada, sessions[:1], Page(first=501))
    assert await session_utterances_of_many(ada, [], Page()) == []
