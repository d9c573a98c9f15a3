"""Data loaders that batch reads, so that a list never costs one query per row."""

from collections.abc import Sequence
from functools import cached_property, partial

from strawberry.dataloader import DataLoader

from hub.events import SessionState
from models import tables
from resolvers import nodes
from resolvers.pages import Page, Slice
from resolvers.refusals import NotFound
from resolvers.sessions import history
from resolvers.sessions.connections import Connections
from resolvers.viewer import Viewer

AnySession = tables.Session | SessionState


class Loaders:
    """The loaders of one operation."""

    def __init__(self, viewer: Viewer | None, connections: Connections, *, remember: bool) -> None:
        self._viewer = viewer
        self._connections = connections
        self._remember = remember
        self._pages: dict[
            tuple[Page, bool | None],
            DataLoader[AnySession, Slice[tables.Utterance]],
        ] = {}

    @cached_property
    def session(self) -> DataLoader[str, tables.Session]:
        """Sessions by id; a deleted one, or another user's, is an error."""
        return DataLoader(load_fn=self._sessions, max_batch_size=nodes.NODES, cache=self._remember)

    @cached_property
    def agent_state(self) -> DataLoader[AnySession, str | None]:
        """The states of agents that are connected to other processes; None if one is unknown."""
        return DataLoader(load_fn=self._connections.states_elsewhere, cache=False)

    async def _sessions(self, ids: Sequence[str]) -> list[tables.Session | BaseException]:
        # Without its cache, the loader passes on duplicate ids.
        unique = list(dict.fromkeys(ids))
        found = {
            node.id: node
            for node in await nodes.nodes(self._viewer, unique)
            if isinstance(node, tables.Session)
        }
        return [found.get(id_) or NotFound("This session has been deleted.") for id_ in ids]

    async def utterances(
        self,
        session: AnySession,
        page: Page,
        is_final: bool | None,
        search: str | None,
    ) -> Slice[tables.Utterance]:
        """Return a page of a session's utterances, read in a batch with those of other sessions."""
        if page.after is not None or page.before is not None or search is not None:
            return await history.session_utterances(self._viewer, session, page, is_final, search)
        loader = self._pages.get((page, is_final))
        if loader is None:
            load = partial(self._utterances, page, is_final)
            loader = DataLoader(load_fn=load, cache=self._remember)
            self._pages[page, is_final] = loader
        return await loader.load(session)

    async def _utterances(
        self, page: Page, is_final: bool | None, sessions: list[AnySession]
    ) -> list[Slice[tables.Utterance]]:
        if len(sessions) == 1:
            [session] = sessions
            return [await history.session_utterances(self._viewer, session, page, is_final)]
        return await history.session_utterances_of_many(self._viewer, sessions, page, is_final)
