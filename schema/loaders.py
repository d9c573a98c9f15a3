"""Reads that are gathered, so that a list never costs a query a row."""

from collections.abc import Sequence
from functools import cached_property

from strawberry.dataloader import DataLoader

import models
from resolvers import nodes
from resolvers.backend import Backend
from resolvers.refusals import NotFound
from resolvers.viewer import Viewer

_BATCH = 100
"""Ids that `resolvers.nodes.nodes` takes at once."""


class Loaders:
    """The loaders of one operation."""

    def __init__(self, backend: Backend, viewer: Viewer | None, *, remember: bool) -> None:
        self._backend = backend
        self._viewer = viewer
        self._remember = remember

    @cached_property
    def session(self) -> DataLoader[str, models.Session]:
        """Sessions by id; one that is gone or somebody else's is an error."""
        return DataLoader(load_fn=self._sessions, max_batch_size=_BATCH, cache=self._remember)

    async def _sessions(self, ids: Sequence[str]) -> list[models.Session | BaseException]:
        # Without its cache the loader hands over an id as often as it was asked for.
        unique = list(dict.fromkeys(ids))
        found = {
            node.id: node
            for node in await nodes.nodes(self._backend, self._viewer, unique)
            if isinstance(node, models.Session)
        }
        return [found.get(id_) or NotFound("This session has been deleted.") for id_ in ids]
