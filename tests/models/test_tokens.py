"""Which queries find a text, in any script; the cases are in data/searches.json."""

import html
import json
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.database import reader
from models.repositories import matches
from models.repositories.history import HistoryQuery
from models.search import parsing, snippets
from models.search import tokens as rules
from models.search.tokens import indexed, last_of_runs, tokens
from tests.processor import processor_time
from tests.rows import add_session, add_user

CASES = json.loads((Path(__file__).parent / "data" / "searches.json").read_text())
SAID = defaultdict(list)
for case in CASES:
    SAID[case["language"], case["said"]].append(case)


def test_there_are_cases_enough() -> None:
    """The cases cover many languages, both found and not found."""
    assert len(CASES) >= 120
    assert len({case["language"] for case in CASES}) >= 25
    assert sum(not case["found"] for case in CASES) >= 40


@pytest.mark.parametrize(("language", "said"), SAID)
async def test_it_is_found_as_people_type_it(url: str, language: str, said: str) -> None:
    """Queries go through the real index, and matches are marked in the original text."""
    user = await add_user()
    session = await add_session(user, said)
    await add_session(user, "nothing of the kind")
    for case in SAID[language, said]:
        wanted = parsing.parse(case["asked"], user.id)
        assert wanted is not None
        page = await HistoryQuery(user.id, search=wanted).page(reader(), None, None, 10)
        assert [one.id for one in page] == [session.id] * case["found"], case["asked"]
        best = await matches.best_matches(reader(), wanted, [session.id])
        if not case["found"]:
            continue
        snippet = best[session.id].snippet
        begin, end = snippets.MARK
        assert begin in snippet, case["asked"]
        assert html.unescape(snippet.replace(begin, "").replace(end, "")) == said


@pytest.mark.parametrize(
    ("said", "asked", "snippet"),
    [
        ("今天天气很好", "天气", "今天<mark>天气</mark>很好"),
        ("今天天气很好", "天", "今<mark>天天</mark>气很好"),
        ("今天天气很好", "好", "今天天气很<mark>好</mark>"),
        ("Die Straße!", "strasse", "Die <mark>Straße</mark>!"),
        ("a ﬁnance & b", "fin", "a <mark>ﬁnance</mark> &amp; b"),
        ("שָׁלוֹם עוֹלָם", "שלום", "<mark>שָׁלוֹם</mark> עוֹלָם"),
        ("I 👍🏽 it", "👍", "I <mark>👍🏽</mark> it"),
        ("ｶﾀｶﾅ", "カナ", "ｶﾀ<mark>ｶﾅ</mark>"),
        ("8 o'clock", "o'clock", "8 <mark>o'clock</mark>"),
        # One Thai character that folds to two.
        ("กำลัง", "\u0e4d", "ก<mark>ำ</mark>ลัง"),
    ],
)
def test_a_snippet_marks_the_right_place(said: str, asked: str, snippet: str) -> None:
    """Marks are placed in the original text, even where folding changed its length."""
    wanted = parsing.parse(asked, "usr_x")
    assert wanted is not None
    assert snippets.snippet_of(said, wanted.words) == snippet


@given(st.text(max_size=80))
@example("กำลัง")
def test_tokens_lie_in_the_text_in_order(text: str) -> None:
    """Each token is a non-empty part of the text without characters that the index splits at."""
    found = tokens(text)
    for token in found:
        assert 0 <= token.start < token.end <= len(text)
        assert token.split is None or token.start <= token.split < token.end
        assert token.text
        assert all(c.isalnum() or ord(c) > 127 for c in token.text)
        assert not set(token.text) & set(' "\\\0')
    assert [token.start for token in found] == sorted(token.start for token in found)
    assert indexed(text).split(" ") == [token.text for token in found] or not found


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing(text: str) -> None:
    """A one-character token is indexed as itself, so searching for the indexed form finds it."""
    once = [token.text for token in tokens(text)]
    assert [indexed(token) for token in once if len(token) == 1] == [t for t in once if len(t) == 1]


def test_a_character_that_ends_a_run_is_kept_apart() -> None:
    """No pair begins with it. Runs of one character and scripts with spaces do not need this."""
    assert last_of_runs("今天, 好 and カナ") == "天 ナ"
    assert last_of_runs("hello") == last_of_runs("héllo") == ""
    assert last_of_runs("天天天 天x ㌖") == "天 ル"
    assert last_of_runs("今天。天气") == "天 气"


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("a" + "\u0301\u0323" * 8000 + "b", "ab"),
        ("\u0439" + "\u0301" * 16_000 + "\u0442", "йт"),
        ("\u05d0" + "\u05b8\u05bc" * 8000 + "\u05d1", "אב"),
    ],
    ids=["Latin", "Cyrillic", "Hebrew"],
)
def test_thousands_of_marks_are_left_out_in_no_time(text: str, token: str) -> None:
    """Sorting marks is quadratic and would block the whole program; the letters are still found."""
    with processor_time() as spent:
        assert indexed(text) == token
    assert spent.seconds < 0.05


@given(
    st.text(st.sampled_from("\u1100\u1112\u1161\u1175\u11a8\u11ab\ua960\ud7b0\ud7cb"), max_size=99)
)
def test_korean_letters_are_composed_as_ever(text: str) -> None:
    """Text is cut only where nothing composes, whatever the sequence of letters."""
    assert indexed(text) == unicodedata.normalize("NFKC", text)
    assert indexed(text * 30) == unicodedata.normalize("NFKC", text * 30)


def test_both_columns_of_a_text_are_cut_once() -> None:
    """The trigger asks for one column, then the other."""
    indexed("今天天气 1")
    before = rules._columns.cache_info()
    assert last_of_runs("今天天气 1") == "气"
    assert rules._columns.cache_info() == before._replace(hits=before.hits + 1)


def test_what_is_held_of_words_is_bounded() -> None:
    """Texts of Chinese or emoji have many tokens and rarely repeat, so they are not cached."""
    for number in range(100):
        tokens(f"今天天气很好{chr(0x4E00 + number)}x🙂🙂🙂 ñandú{number}")
    held = list(rules._known.values())
    assert 0 < len(held) <= rules._CACHED
    assert max(map(len, held)) <= rules._FEW


def test_plain_characters_are_those_that_folding_leaves_alone() -> None:
    """The fast path for Han and kana therefore gives the same result as the slow path."""
    plain = [one for one in map(chr, range(0x110000)) if rules._PLAIN.fullmatch(one)]
    assert len(plain) > 20_000
    assert all(rules._folded(one) == one and rules._kind(one) == "unspaced" for one in plain)
