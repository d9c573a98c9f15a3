"""What a search finds, what it shows, and that no input breaks it."""

import html
import threading
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.database import Connection, engine, reader, transact
from models.repositories import matches
from models.repositories.history import HistoryQuery
from models.search import parsing, snippets
from models.search.tokens import indexed, last_of_runs
from models.tables import Session, User, Utterance
from models.titles import NEW_CONVERSATION
from tests.processor import processor_time
from tests.rows import START, add_session, add_user, utterance

MARK, UNMARK = snippets.MARK
_numbers = count(1)


async def _found(user: User, text: str) -> list[str]:
    query = HistoryQuery(user.id, search=parsing.parse(text, user.id))
    return [session.id for session in await query.page(reader(), None, None, 100)]


async def _snippet(user: User, text: str, session: Session) -> str:
    wanted = parsing.parse(text, user.id)
    assert wanted is not None
    return (await matches.best_matches(reader(), wanted, [session.id]))[session.id].snippet


async def _assert_index_is_whole() -> None:
    """Check that the index holds the tokens of every final text and title, and nothing else."""
    finals = await Utterance.filter(is_final=True).order_by("number").select_related("session")
    if reader().capabilities.dialect == "sqlite":
        await _assert_fts5_has(finals)
    else:
        await _assert_vectors_have(finals)
    titles = await reader().execute_query_dict("SELECT * FROM title_search")
    assert {tuple(row.values()) for row in titles} == {
        (one.user_id, token, one.id)
        for one in await Session.filter(deleted_at=None)
        if one.title != NEW_CONVERSATION
        for token in f"{indexed(one.title)} {last_of_runs(one.title)}".split()
    }


async def _assert_fts5_has(finals: Sequence[Utterance]) -> None:
    check = "INSERT INTO utterance_search(utterance_search) VALUES ('integrity-check')"
    await transact(lambda conn: conn.execute_query(check))
    held = await reader().execute_query_dict(
        "SELECT rowid, tokens, last, owner FROM utterance_search ORDER BY rowid"
    )
    assert held == [
        {
            "rowid": row.number,
            "tokens": indexed(row.text),
            "last": last_of_runs(row.text),
            "owner": row.session.user_id.removeprefix("usr_"),
        }
        for row in finals
    ]


async def _assert_vectors_have(finals: Sequence[Utterance]) -> None:
    held = await reader().execute_query_dict(
        "SELECT number, tokens, tsvector_to_array(words) AS words "
        "FROM utterance_search ORDER BY number"
    )
    assert [{**row, "words": set(row["words"])} for row in held] == [
        {
            "number": row.number,
            "tokens": "".join(f" {token}" for token in indexed(row.text).split()),
            "words": {
                f"@{row.session.user_id}",
                *(token[:500] for token in indexed(row.text).split()),
                *(f".{last}" for last in last_of_runs(row.text).split()),
            },
        }
        for row in finals
    ]


@pytest.fixture
async def user(url: str) -> User:
    return await add_user()


@pytest.mark.parametrize(
    "text",
    [
        "café",
        "CAFE",
        "cafe\u0301",
        "caf",
        "c",
        "reykjavik",
        "o'clock",
        "o clock",
        "clock café",
        '"clock"',
        "  clock  ",
        "3.5",
        "2026-11-01",
        "café, please!",
        "what\u2019s",
    ],
)
async def test_words_prefixes_case_and_accents(user: User, text: str) -> None:
    """Text is found regardless of case and accents, and by prefixes of its words."""
    session = await add_session(
        user, "The Café in Reykjavík opens at 8 o'clock, please.", "What\u2019s 3.5% on 2026-11-01?"
    )
    await add_session(user, "Nothing of the kind.")
    assert await _found(user, text) == [session.id]


@pytest.mark.parametrize("text", ["afé", "tea", "clock tea", "?!", "🙂", '"', "*", "-", "AND"])
async def test_what_was_not_said_is_not_found(user: User, text: str) -> None:
    """The middle of a word, an extra word or a query without words finds nothing."""
    await add_session(user, "The Café opens at 8 o'clock.")
    assert await _found(user, text) == []


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\0", "\ud800"])
def test_blank_is_no_search(text: str) -> None:
    """Clearing the search field shows every conversation again."""
    assert parsing.parse(text, "usr_x") is None


@pytest.mark.parametrize("text", ["near", "NOT", "or", "text:hello", "owner:x", "hello)", "{hello"])
async def test_what_means_something_to_the_index_is_a_word_like_any_other(
    user: User, text: str
) -> None:
    """FTS operators are searched for as plain words."""
    session = await add_session(user, "near NOT OR text hello owner x")
    assert await _found(user, text) == [session.id]
    await _assert_index_is_whole()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=60))
async def test_any_text_is_a_valid_search(user: User, text: str) -> None:
    """Lone surrogates, NULs, quotes and any script return an answer, never an error."""
    await _found(user, text)
    if wanted := parsing.parse(text, user.id):
        await matches.best_matches(reader(), wanted, ["ses_x"])


async def test_an_essay_is_a_valid_search(user: User) -> None:
    """Words beyond the limits on number and length are ignored."""
    words = [f"word{number}" for number in range(5000)]
    session = await add_session(user, " ".join(words[:50]))
    assert await _found(user, " ".join(words)) == [session.id]
    assert await _found(user, "word1" * 100_000) == []


@pytest.mark.parametrize(
    "text",
    [
        "㌖" * 100,
        " ".join("㌖" * 50 + str(number) for number in range(40)),
        " ".join(chr(0x4E00 + number) + "天" * 99 for number in range(40)),
        "ﷺ" * 100,
        "は" + "ﷺ" * 100,
        "は" + '"*' * 40 + "x",
        " ".join("は-x" + str(number) for number in range(40)),
        "a-" * 50 + "b",
        "a" + "\u0301\u0323" * 5000,
        "\u1100" * 5000,
        "🇩🇪" * 50,
        "🙂" * 100,
        "½" * 5000,
    ],
    ids=lambda text: text[:3],
)
async def test_a_search_of_very_many_tokens_is_valid(user: User, text: str) -> None:
    """Token counts stay within the limits, as SQLite caps compound selects (500) and parameters."""
    session = await add_session(user, text)
    await _rename(session, text[:200])
    assert await _found(user, text) == [session.id]
    assert snippets.MARK[0] in await _snippet(user, text, session)
    wanted = parsing.parse(text, user.id)
    assert wanted is not None
    assert max(map(len, wanted.words)) <= parsing.WORD_TOKENS
    assert sum(map(len, wanted.words)) <= parsing.TOKENS


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80))
async def test_whatever_is_said_is_found_by_its_first_word_and_shown_safely(
    user: User, text: str
) -> None:
    """A snippet contains the original text, escaped, and no markup except the marks."""
    word = f"needle{next(_numbers)}x"
    session = await add_session(user, f"{word} {text}")
    assert await _found(user, word) == [session.id]
    snippet = await _snippet(user, word, session)
    assert f"{MARK}{word}{UNMARK}" in snippet
    assert "<" not in snippet.replace(MARK, "").replace(UNMARK, "")


async def test_words_may_be_said_in_different_utterances(user: User) -> None:
    """A session matches if its utterances together contain all words."""
    session = await add_session(user, "What's the weather?", "Where?", "In Paris.")
    await add_session(user, "What's the weather?", "Where?", "In Rome.")
    assert await _found(user, "weather paris") == [session.id]


async def test_the_best_utterance_is_shown_with_its_words_marked(user: User) -> None:
    """The utterance that matches more words is shown, with HTML in it escaped."""
    session = await add_session(
        user,
        "Tell me about Paris.",
        "The weather in <b>Paris</b> & Rome is fine.",
        "Fine weather.",
    )
    wanted = parsing.parse("paris weather", user.id)
    assert wanted is not None
    found = await matches.best_matches(reader(), wanted, [session.id])
    assert found[session.id].utterance.key == "key-1"
    assert found[session.id].snippet == (
        "The <mark>weather</mark> in &lt;b&gt;<mark>Paris</mark>&lt;/b&gt; &amp; Rome is fine."
    )


async def test_a_long_text_is_cut_around_the_place(user: User) -> None:
    """A list shows the words around the match, not the whole text."""
    filler = " ".join(f"filler{number}" for number in range(1000))
    session = await add_session(user, f"{filler} needle {filler}")
    snippet = await _snippet(user, "needle", session)
    assert "<mark>needle</mark>" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(snippet.split()) <= snippets.SNIPPET_WORDS


def test_a_long_text_with_many_hits_is_cut_in_no_time() -> None:
    """Such a text took 8 s, in which no other request was served."""
    with processor_time() as spent:
        snippet = snippets.snippet_of("a " * 16_384, [("a",)])
    assert spent.seconds < 1
    assert snippet == " ".join([f"{MARK}a{UNMARK}"] * 24) + "…"


def test_what_ends_a_run_is_shown_late_in_a_long_text() -> None:
    """The last character of a run begins no token, but its place is still found."""
    said = "今天 " * 100 + "我们去公园。" + "今天 " * 100
    snippet = snippets.snippet_of(said, [("园",)])
    assert "我们去公<mark>园</mark>。" in snippet
    assert len(snippet) < 200


def test_all_is_marked_around_the_last_place_that_is_tried() -> None:
    """Matches beyond the last place tried are still marked where they are shown."""
    said = "a " * (snippets.PLACES - 1) + "x " * 40 + "a " + "b " * 30
    assert snippets.snippet_of(said, [("a",), ("b",)]).count(MARK) == snippets.SNIPPET_WORDS


@pytest.mark.parametrize(
    "said",
    [
        ("hi " + "&" * 32_000) * 24 + " end",
        "&" * 32_000 + " hi " + "&" * 32_000,
        "&" * 32_000 + " hi",
        "hi" * 16_000,
        "hi",
    ],
    ids=["apart", "amid", "last", "long", "short"],
)
def test_a_snippet_is_short_whatever_is_between_the_words(said: str) -> None:
    """A snippet shows the word within a fixed number of characters, with ellipses for the rest."""
    snippet = snippets.snippet_of(said, [("hi",)])
    shown = html.unescape(snippet.replace(MARK, "").replace(UNMARK, ""))
    assert MARK + "hi" in snippet
    assert shown.strip("…") in said
    assert len(shown.strip("…")) == min(snippets.SNIPPET_LENGTH, len(said))
    assert shown.startswith("…") is not said.startswith("hi")
    assert shown.endswith("…") is (said not in ("hi", "&" * 32_000 + " hi"))


async def test_others_are_served_while_snippets_are_cut(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snippets are cut in a thread, because a page of long texts takes a while."""
    session = await add_session(user, "hello")
    threads = []
    snippet_of = snippets.snippet_of

    def watched(text: str, words: list[tuple[str, ...]]) -> str:
        threads.append(threading.get_ident())
        return snippet_of(text, words)

    monkeypatch.setattr(matches, "snippet_of", watched)
    assert await _snippet(user, "hello", session) == f"{MARK}hello{UNMARK}"
    assert threads
    assert threading.get_ident() not in threads


async def test_snippets_of_a_page_look_through_so_much_text(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newest results use the page's text limit first; the others show the text's beginning."""
    monkeypatch.setattr(matches, "SNIPPET_TEXT", 1_100)
    late = "word " * 200 + "hello"
    sessions = [await add_session(user, late) for _ in range(2)]
    wanted = parsing.parse("hello", user.id)
    assert wanted is not None
    found = await matches.best_matches(reader(), wanted, [one.id for one in sessions[::-1]])
    assert f"{MARK}hello{UNMARK}" in found[sessions[1].id].snippet
    assert found[sessions[0].id].snippet == "word " * 23 + "word…"


async def test_parts_of_a_word_that_stand_apart_are_marked(user: User) -> None:
    """The index can't tell that two tokens are not adjacent; the snippet marks what it matched."""
    session = await add_session(user, "T着た、私は")
    assert await _found(user, "はT") == [session.id]
    assert await _snippet(user, "はT", session) == "<mark>T</mark>着た、私は"


async def test_what_may_still_change_is_not_found(user: User) -> None:
    """An utterance is indexed when it becomes final, with its current text only."""
    session = await add_session(user, "hello")
    row = utterance(session, 1, "recognise speech", is_final=False)
    await transact(lambda conn: row.save(using_db=conn))
    assert await _found(user, "recognise") == []
    row.text = "wreck a nice beach"
    await transact(lambda conn: row.save(using_db=conn))
    assert await _found(user, "wreck") == []
    row.is_final = True
    await transact(lambda conn: row.save(using_db=conn))
    assert await _found(user, "wreck") == [session.id]
    assert await _found(user, "recognise") == []
    row.text = "recognise speech"
    await transact(lambda conn: row.save(using_db=conn))
    assert await _found(user, "wreck") == []
    assert await _found(user, "recognise") == [session.id]
    await _assert_index_is_whole()


async def test_an_upsert_keeps_the_index(user: User) -> None:
    """An upsert, as used for batches, updates the index like any other write."""
    session = await add_session(user, "hello")
    row = utterance(session, 0, "good evening")

    async def upsert(conn: Connection) -> None:
        await Utterance.bulk_create(
            [row],
            on_conflict=("session_id", "key"),
            update_fields=("text", "is_final"),
            using_db=conn,
        )

    await transact(upsert)
    assert await _found(user, "hello") == []
    assert await _found(user, "evening") == [session.id]
    await _assert_index_is_whole()


async def test_what_is_deleted_is_not_found(user: User) -> None:
    """Deleting utterances, sessions or users removes their words, in cascades too."""
    other = await add_user()
    kept = await add_session(user, "hello")
    await add_session(other, "hello", "world")
    doomed = await add_session(user, "hello", "world")
    emptied = await add_session(user, "hello")
    await transact(lambda conn: Utterance.filter(session_id=emptied.id).using_db(conn).delete())
    await transact(lambda conn: Session.filter(id=doomed.id).using_db(conn).delete())
    await transact(lambda conn: User.filter(id=other.id).using_db(conn).delete())
    assert await _found(user, "hello") == [kept.id]
    assert await _found(other, "hello") == []
    await _assert_index_is_whole()


async def test_a_session_that_changes_hands_is_found_by_its_new_owner(user: User) -> None:
    """The old owner no longer finds any word of it."""
    other = await add_user()
    session = await add_session(other, "hello", "world")
    move = Session.filter(id=session.id)
    await transact(lambda conn: move.using_db(conn).update(user_id=user.id))
    assert await _found(other, "world") == []
    assert await _found(user, "world hello") == [session.id]
    await _assert_index_is_whole()


@pytest.mark.parametrize(
    ("word", "apart"),
    [("3.5", "3 or 4, perhaps 5"), ("北京天", "北京和京天"), ("a-b-c", "a b, b c")],
)
async def test_the_tokens_of_a_word_are_adjacent(user: User, word: str, apart: str) -> None:
    """A line that has them apart does not have the word."""
    session = await add_session(user, f"it is {word}")
    await add_session(user, apart)
    assert await _found(user, word) == [session.id]


async def test_a_damaged_index_would_be_noticed(user: User) -> None:
    """The check used by the other tests does compare the index with the texts."""
    await add_session(user, "hello")
    ghost = {
        "sqlite": "INSERT INTO utterance_search(rowid, tokens, owner) VALUES (999, 'ghost', 'me')",
        "postgres": "UPDATE utterance_search SET words = words || array_to_tsvector('{ghost}')",
    }[reader().capabilities.dialect]
    await transact(lambda conn: conn.execute_query(ghost))
    with pytest.raises(AssertionError):
        await _assert_index_is_whole()


async def _rename(session: Session, title: str) -> None:
    renamed = Session.filter(id=session.id)
    await transact(lambda conn: renamed.using_db(conn).update(title=title))


async def test_a_title_is_found_like_words_that_were_said(user: User) -> None:
    """Titles match by prefix in any script, together with spoken words; they have no snippet."""
    session = await add_session(user, "hello")
    await _rename(session, "Café plans 今天天气")
    for text in ("cafe", "plan", "天气", "气", "hello plans", "今天"):
        assert await _found(user, text) == [session.id], text
    for text in ("conversation", "lans", "天今", "hello nothing"):
        assert await _found(user, text) == [], text
    wanted = parsing.parse("plans", user.id)
    assert wanted is not None
    assert await matches.best_matches(reader(), wanted, [session.id]) == {}
    await _assert_index_is_whole()


async def test_a_title_goes_with_its_session(user: User) -> None:
    """A renamed, moved or deleted session is not found by its old title or owner."""
    other = await add_user()
    session = await add_session(user, "hello")
    await _rename(session, "Old name")
    await _rename(session, "New name")
    assert await _found(user, "old") == []
    assert await _found(user, "new") == [session.id]
    move = Session.filter(id=session.id)
    await transact(lambda conn: move.using_db(conn).update(user_id=other.id))
    assert (await _found(user, "new"), await _found(other, "new")) == ([], [session.id])
    await _assert_index_is_whole()
    await transact(lambda conn: move.using_db(conn).update(deleted_at=START))
    assert await reader().execute_query_dict("SELECT * FROM title_search") == []
    await transact(lambda conn: move.using_db(conn).delete())
    await _assert_index_is_whole()


async def test_a_new_conversation_is_not_found_by_that_name(user: User) -> None:
    """The default title is not indexed."""
    await add_session(user, "hello")
    assert await _found(user, "new") == []


async def test_everybody_finds_only_their_own(user: User) -> None:
    """The owner is part of the search query itself."""
    other = await add_user()
    mine, theirs = await add_session(user, "hello"), await add_session(other, "hello")
    assert await _found(user, "hello") == [mine.id]
    assert await _found(other, "hello") == [theirs.id]
    assert await _found(user, other.id) == []
    # Query the index directly too: the list above filters out other users' sessions anyway.
    query = parsing.parse("hello", user.id)
    assert query is not None
    index = engine().search
    for found, values in (
        index.sessions(query, ("hello",)),
        index.best(query, [mine.id, theirs.id]),
    ):
        rows = await reader().execute_query_dict(found, list(values))
        assert [row["session_id"] for row in rows] == [mine.id]


def test_a_whole_text_is_marked_at_every_place() -> None:
    """Works in any script, without cutting; HTML in the text is escaped."""
    cases = {
        ("tea", "Tea & <b>teapots</b>"): "<mark>Tea</mark> &amp; &lt;b&gt;<mark>teapots</mark>"
        "&lt;/b&gt;",
        ("café", "CAFE\u0301 or cafe"): "<mark>CAFE\u0301</mark> or <mark>cafe</mark>",
        ("京都", "今日は東京都です"): "今日は東<mark>京都</mark>です",
        ("سلام", "قال: سَلَام"): "قال: <mark>سَلَام</mark>",
        ("שלום", "אמר שָׁלוֹם"): "אמר <mark>שָׁלוֹם</mark>",
        ("tea", "coffee"): "coffee",
    }
    for (words, text), marked in cases.items():
        wanted = parsing.parse(words, "usr_x")
        assert wanted is not None
        assert snippets.marked_text(text, wanted.words) == marked
    wanted = parsing.parse("a", "usr_x")
    assert wanted is not None
    assert snippets.marked_text("a " * 3_000, wanted.words).count("<mark>") == 3_000
