"""Finds any of the viewer's objects by its identifier."""

from collections.abc import Sequence
from typing import Final

from models import ids
from models.database import reader
from models.repositories import accounts, api_tokens, sessions, utterances
from models.tables import ApiToken, Session, User, Utterance
from resolvers.access import signed_in
from resolvers.refusals import BadUserInput
from resolvers.viewer import TokenScope, Viewer

Node = User | Session | Utterance | ApiToken

NODES: Final = 100
_KINDS: Final = frozenset({ids.USER, ids.SESSION, ids.UTTERANCE, ids.API_TOKEN})


async def node(viewer: Viewer | None, node_id: str) -> Node | None:
    """Return the object with this identifier; None if there is none, or it is not the viewer's."""
    viewer = signed_in(viewer)
    _check(node_id, ["id"])
    return (await _found(viewer, [node_id])).get(node_id)


async def nodes(viewer: Viewer | None, node_ids: Sequence[str]) -> list[Node | None]:
    """Return the objects with these identifiers, in order, with one query for each kind."""
    viewer = signed_in(viewer)
    if len(node_ids) > NODES:
        raise BadUserInput(f"At most {NODES} ids at once, not {len(node_ids)}.", field=["ids"])
    for index, node_id in enumerate(node_ids):
        _check(node_id, ["ids", index])
    found = await _found(viewer, node_ids)
    return [found.get(node_id) for node_id in node_ids]


def _check(node_id: str, field: list[str | int]) -> None:
    if ids.kind_of(node_id) not in _KINDS:
        raise BadUserInput(
            "That is not an id that this server makes, as ses_… or utt_… are.", field=field
        )


async def _found(viewer: Viewer, node_ids: Sequence[str]) -> dict[str, Node]:
    by_kind: dict[str, list[str]] = {}
    for node_id in dict.fromkeys(node_ids):
        by_kind.setdefault(node_id[: len(ids.USER)], []).append(node_id)
    found: dict[str, Node] = {}
    for kind, wanted in by_kind.items():
        for thing in await _of_kind(viewer, kind, wanted):
            found[thing.id] = thing
    return found


async def _of_kind(viewer: Viewer, kind: str, wanted: list[str]) -> Sequence[Node]:
    owner_id, conn = viewer.user_id, reader()
    may_read = TokenScope.SESSIONS_READ in viewer.scopes
    if kind == ids.USER and owner_id in wanted:
        owner = await accounts.user(conn, owner_id)
        return [] if owner is None else [owner]
    if kind == ids.SESSION and may_read:
        return await sessions.of_user(conn, owner_id, wanted)
    if kind == ids.UTTERANCE and may_read:
        return await utterances.of_user(conn, owner_id, wanted)
    # As in list_api_tokens: the person may see the tokens, but a token may not.
    if kind == ids.API_TOKEN and viewer.login_id is not None:
        return await api_tokens.of_user(conn, owner_id, wanted)
    return []
