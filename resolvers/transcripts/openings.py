"""What a session without a name is called: the first settled words of the person."""

from collections.abc import Mapping

from models import Role, Session, Utterance
from models.database import Connection
from models.openings import TRIED
from models.repositories import utterances
from models.titles import title_of


async def note(conn: Connection, session: Session, changed: Mapping[str, Utterance]) -> None:
    """Keep the opening of a session as it is after a commit.

    Args:
        conn: the transaction.
        session: takes the opening; it is for the caller to write.
        changed: the rows of the session that the transaction writes, by their key.
    """
    held = session.opening_sort_key
    said = [row for row in changed.values() if _is_settled_of_person(row)]
    again = [row for row in said if row.sort_key == held]
    if again and title_of(again[0].text) is None:
        # Corrected, it has no word any more: the opening is that of another, or of none.
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
