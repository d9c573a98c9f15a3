"""The titles of sessions without a name: the person's first final words."""

from collections.abc import Mapping

from models.database import Connection
from models.openings import TRIED
from models.repositories import utterances
from models.tables import Role, Session, Utterance
from models.titles import title_of


async def note(conn: Connection, session: Session, changed: Mapping[str, Utterance]) -> None:
    """Update a session's opening for this commit.

    Args:
        conn: The transaction.
        session: The session; the caller writes it.
        changed: The session's rows that the transaction writes, by their key.
    """
    held = session.opening_sort_key
    said = [row for row in changed.values() if _is_settled_of_person(row)]
    again = [row for row in said if row.sort_key == held]
    if again and title_of(again[0].text) is None:
        # The correction has no word in it: use another utterance, or none.
        session.opening = session.opening_sort_key = held = None
        stored = await utterances.finals_of_person(conn, session.id, TRIED)
        said.extend(row for row in stored if row.key not in changed)
    elif held is not None:
        said = [row for row in said if row.sort_key < held] or again
    for row in sorted(said, key=lambda row: row.sort_key):
        if title := title_of(row.text):
            session.opening, session.opening_sort_key = title, row.sort_key
            return


def _is_settled_of_person(row: Utterance) -> bool:
    return row.role is Role.USER and row.is_final
