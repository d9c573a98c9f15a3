"""The search index in PostgreSQL: a text-search vector of tokens for each final utterance.

PostgreSQL can't compute the tokens. So triggers note what changed, in `search_due`, and each
transaction indexes what is noted there before it commits (`index_due`). If another program writes,
its rows are found once the next transaction of a server has committed.

A vector has no positions: PostgreSQL keeps at most 256 for a word, and none above 16,383. Whether
the tokens of a word are adjacent is checked in the text of all tokens, which is stored beside it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from models.engine import Query
from models.search.parsing import Search
from models.search.tokens import indexed, is_single, last_of_runs
from models.titles import NEW_CONVERSATION

_LONGEST: Final = 500
"""Characters of a token in a vector, which holds words of up to 2,046 bytes."""
_SHORT: Final = 2_000
"""Characters that are indexed at once; their tokens take a millisecond."""
_OWNER: Final = "@"
"""Begins the word that names the owner; no token contains it."""
_LAST: Final = "."
"""Begins the word for the last character of a run; see `models.search.tokens.last_of_runs`."""

# Every search names an owner, so its cost grows with the searcher's own conversations. The index is
# updated at once: with a list of pending rows, a search now and then would wait until it is merged.
MAKE: Final = (
    """
CREATE TABLE utterance_search (
    number bigint PRIMARY KEY REFERENCES utterances (number) ON DELETE CASCADE,
    tokens text NOT NULL,
    words tsvector NOT NULL
)""",
    """
CREATE INDEX utterance_search_words ON utterance_search USING gin (words) WITH (fastupdate = off)
""",
    """
CREATE TABLE title_search (
    user_id text NOT NULL,
    token text NOT NULL,
    session_id text NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, token, session_id)
)""",
    "CREATE INDEX title_search_session ON title_search (session_id)",
    "CREATE TABLE search_due (number bigint, session_id text)",
    """
CREATE FUNCTION utterance_search_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM utterance_search WHERE number = old.number;
    END IF;
    IF new.is_final THEN
        INSERT INTO search_due (number) VALUES (new.number);
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER utterance_search_inserted AFTER INSERT ON utterances
FOR EACH ROW WHEN (new.is_final) EXECUTE FUNCTION utterance_search_note()""",
    """
CREATE TRIGGER utterance_search_updated AFTER UPDATE OF text, is_final ON utterances
FOR EACH ROW WHEN (
    (old.is_final OR new.is_final)
    AND (old.text <> new.text OR old.is_final <> new.is_final)
) EXECUTE FUNCTION utterance_search_note()""",
    f"""
CREATE FUNCTION utterance_search_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE utterance_search
    SET words = ts_delete(words, '{_OWNER}' || old.user_id)
        || array_to_tsvector(ARRAY['{_OWNER}' || new.user_id])
    WHERE number IN (SELECT number FROM utterances WHERE session_id = new.id AND is_final);
    RETURN NULL;
END $$""",  # noqa: S608 - the name is the one above
    """
CREATE TRIGGER utterance_search_moved AFTER UPDATE OF user_id ON sessions
FOR EACH ROW WHEN (old.user_id <> new.user_id) EXECUTE FUNCTION utterance_search_move()""",
    """
CREATE FUNCTION title_search_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM title_search WHERE session_id = new.id;
    INSERT INTO search_due (session_id) VALUES (new.id);
    RETURN NULL;
END $$""",
    f"""
CREATE TRIGGER title_search_inserted AFTER INSERT ON sessions
FOR EACH ROW WHEN (new.title <> '{NEW_CONVERSATION}') EXECUTE FUNCTION title_search_note()""",
    """
CREATE TRIGGER title_search_updated AFTER UPDATE OF title, user_id, deleted_at ON sessions
FOR EACH ROW WHEN (
    old.title <> new.title OR old.user_id <> new.user_id
    OR old.deleted_at IS DISTINCT FROM new.deleted_at
) EXECUTE FUNCTION title_search_note()""",
)
UNDO: Final = """
DROP TRIGGER title_search_updated ON sessions;
DROP TRIGGER title_search_inserted ON sessions;
DROP FUNCTION title_search_note;
DROP TRIGGER utterance_search_moved ON sessions;
DROP FUNCTION utterance_search_move;
DROP TRIGGER utterance_search_updated ON utterances;
DROP TRIGGER utterance_search_inserted ON utterances;
DROP FUNCTION utterance_search_note;
DROP TABLE search_due;
DROP TABLE title_search;
DROP TABLE utterance_search;
"""

_DUE: Final = f"""
WITH due AS (DELETE FROM search_due RETURNING number, session_id)
SELECT u.number, NULL AS session_id, s.user_id, u.text
FROM due JOIN utterances u ON u.number = due.number JOIN sessions s ON s.id = u.session_id
WHERE u.is_final
UNION ALL
SELECT DISTINCT NULL::bigint, s.id, s.user_id, s.title
FROM due JOIN sessions s ON s.id = due.session_id
WHERE s.deleted_at IS NULL AND s.title <> '{NEW_CONVERSATION}'"""  # noqa: S608 - a constant
_INDEX: Final = """
INSERT INTO utterance_search (number, tokens, words) VALUES (?, ?, array_to_tsvector(?::text[]))
ON CONFLICT (number) DO UPDATE SET tokens = excluded.tokens, words = excluded.words"""
_TITLE: Final = """
INSERT INTO title_search (user_id, token, session_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"""


async def index_due(conn: Any) -> None:
    """Index what this transaction has changed."""
    due = await conn.execute_query_dict(_DUE)
    is_short = sum(len(row["text"]) for row in due) < _SHORT
    # A thread keeps the event loop free.
    rows, titles = _indexed(due) if is_short else await asyncio.to_thread(_indexed, due)
    if rows:
        await conn.execute_many(_INDEX, rows)
    if titles:
        await conn.execute_many(_TITLE, titles)


def _indexed(due: Sequence[dict[str, Any]]) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the rows of both indexes."""
    rows, titles = [], []
    for row in due:
        found = indexed(row["text"]).split()
        lasts = last_of_runs(row["text"]).split()
        if row["number"] is None:
            titles += [[row["user_id"], token, row["session_id"]] for token in {*found, *lasts}]
            continue
        words = {_OWNER + row["user_id"], *(_LAST + last for last in lasts)}
        words.update(token[:_LONGEST] for token in found)
        rows.append([row["number"], _together(found), list(words)])
    return rows, titles


# ------------------------------------------------------------------------- queries

_SAID: Final = """
SELECT u.session_id FROM utterance_search f JOIN utterances u ON u.number = f.number
WHERE {has_word}"""
_IN_TITLE: Final = """
SELECT session_id FROM title_search WHERE user_id = ? AND token >= ? AND token < ?"""
_END: Final = "\U0010ffff"
"""Sorts after every character in a token."""
_MATCHING: Final = """
EXISTS (SELECT 1 FROM utterance_search f WHERE f.number = utterances.number AND ({has_word}))"""

_HIT: Final = """
SELECT {number} AS word, u.session_id, u.number, u.sort_key
FROM utterance_search f JOIN utterances u ON u.number = f.number
WHERE u.session_id = ANY(?::text[]) AND {has_word}"""
# A word weighs more the fewer lines have it.
_BEST: Final = """
WITH hits AS ({hits}),
weights AS (
    SELECT word, ln(1 + (SELECT count(DISTINCT number) FROM hits) / count(*)::float) AS weight
    FROM hits GROUP BY word
)
SELECT DISTINCT ON (session_id) session_id, number FROM (
    SELECT h.session_id, h.number, h.sort_key, sum(w.weight) AS weight
    FROM hits h JOIN weights w ON w.word = h.word GROUP BY h.session_id, h.number, h.sort_key
) AS lines ORDER BY session_id, weight DESC, sort_key"""


class TextSearch:
    """Searches by text-search vectors; see `models.engine.SearchIndex`."""

    def sessions(self, search: Search, word: tuple[str, ...]) -> Query:
        has_word, values = _has_word(search, word)
        ends = [*(f"{token} " for token in word[:-1]), word[-1] + _END]
        titled = [(search.owner_id, *each) for each in zip(word, ends, strict=True)]
        in_title = " INTERSECT ".join([_IN_TITLE] * len(titled))
        query = f"{_SAID.format(has_word=has_word)} UNION ALL ({in_title})"
        return query, [*values, *(value for each in titled for value in each)]

    def has_any_word(self, search: Search) -> Query:
        terms, values = _each_word(search)
        return _MATCHING.format(has_word=" OR ".join(terms)), [v for some in values for v in some]

    def best(self, search: Search, session_ids: Sequence[str]) -> Query:
        terms, values = _each_word(search)
        hits = [_HIT.format(number=at, has_word=term) for at, term in enumerate(terms)]
        given = [value for some in values for value in (list(session_ids), *some)]
        return _BEST.format(hits=" UNION ALL ".join(hits)), given


def _each_word(search: Search) -> tuple[list[str], list[list[Any]]]:
    found = [_has_word(search, word) for word in search.words]
    return [term for term, _ in found], [list(values) for _, values in found]


def _has_word(search: Search, word: tuple[str, ...]) -> Query:
    """Return a condition on the index `f`: a line of the search's owner has this word."""
    term, values = _has(search, word)
    if not is_single(word[0]):
        return term, values
    # The character may end a run, where no token begins with it. The rest of the word is then only
    # required in the same utterance, as in SQLite.
    last, more = _has(search, word[1:], _LAST + word[0])
    return f"({term} OR {last})", [*values, *more]


def _has(search: Search, phrase: tuple[str, ...], *words: str) -> Query:
    """Return a condition: a line has these words and the phrase, whose last token is a prefix."""
    exact = (_OWNER + search.owner_id, *words, *(token[:_LONGEST] for token in phrase[:-1]))
    terms = [f"'{word}'" for word in exact]
    terms += [f"'{token[:_LONGEST]}':*" for token in phrase[-1:]]
    vector = " & ".join(terms)
    if len(phrase) < 2:
        return "f.words @@ ?::tsquery", [vector]
    return "(f.words @@ ?::tsquery AND position(? IN f.tokens) > 0)", [vector, _together(phrase)]


def _together(tokens: Sequence[str]) -> str:
    """Return the tokens as one text, in which each begins with a space."""
    return "".join(f" {token}" for token in tokens)
