"""What a text is found by, in any script; the cases are in data/searches.json."""

import html
import json
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import search
from models.database import reader
from models.history import HistoryQuery
from models.tokens import indexed, last_of_runs, tokens
from tests.rows import add_session, add_user

CASES = json.loads((Path(__file__).parent / "data" / "searches.json").read_text())
SAID = defaultdict(list)
for case in CASES:
    SAID[case["language"], case["said"]].append(case)


def test_there_are_cases_enough() -> None:
    """Of many languages, found and not found."""
    assert len(CASES) >= 120
    assert len({case["language"] for case in CASES}) >= 25
    assert sum(not case["found"] for case in CASES) >= 40


@pytest.mark.parametrize(("language", "said"), SAID)
async def test_it_is_found_as_people_type_it(url: str, language: str, said: str) -> None:
    """By the real index; and what was found is marked in the text as it was said."""
    user = await add_user()
    session = await add_session(user, said)
    await add_session(user, "nothing of the kind")
    for case in SAID[language, said]:
        wanted = search.parse(case["asked"], user.id)
        assert wanted is not None
        page = await HistoryQuery(user.id, search=wanted).page(reader(), None, None, 10)
        assert [one.id for one in page] == [session.id] * case["found"], case["asked"]
        best = await search.best_matches(reader(), wanted, [session.id])
        if not case["found"]:
            continue
        snippet = best[session.id].snippet
        begin, end = search.MARK
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
    ],
)
def test_a_snippet_marks_the_right_place(said: str, asked: str, snippet: str) -> None:
    """In the original text, whatever was folded to find it."""
    wanted = search.parse(asked, "usr_x")
    assert wanted is not None
    assert search.snippet_of(said, wanted.words) == snippet


@given(st.text(max_size=80))
def test_tokens_lie_in_the_text_in_order(text: str) -> None:
    """Each is a part of it; none is empty, and none has anything that the index would cut at."""
    found = tokens(text)
    for token in found:
        assert 0 <= token.start < token.end <= len(text)
        assert token.split is None or token.start < token.split < token.end
        assert token.text
        assert all(c.isalnum() or ord(c) > 127 for c in token.text)
        assert not set(token.text) & set(' "\\\0')
    assert [token.start for token in found] == sorted(token.start for token in found)
    assert indexed(text).split(" ") == [token.text for token in found] or not found


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing(text: str) -> None:
    """What is asked for as it was indexed is found."""
    once = [token.text for token in tokens(text)]
    assert [indexed(token) for token in once if len(token) == 1] == [t for t in once if len(t) == 1]


def test_a_character_that_ends_a_run_is_kept_apart() -> None:
    """No pair begins with it; runs of one need no such thing, nor do scripts with spaces."""
    assert last_of_runs("今天, 好 and カナ") == "天 ナ"
    assert last_of_runs("hello") == last_of_runs("héllo") == ""
