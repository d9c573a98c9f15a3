"""The GraphQL routes that `asgi.build_app` mounts."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from resolvers.backend import Backend
from schema import playground
from schema.access import Access
from schema.http import GraphQLEndpoint


def graphql_app(
    backend: Backend,
    public_url: str,
    *,
    other_origins: Sequence[str] = (),
    may_introspect: bool = True,
    has_playground: bool = True,
) -> list[BaseRoute]:
    """Return the routes of the GraphQL interface, its WebSocket and the playground.

    Cookies are accepted only from pages of the origins of `public_url` and `other_origins` (for
    example, a development server). With an https URL they are Secure, and their names begin with
    `__Host-`, or with `__Secure-` if the URL has a path. Introspection and the playground can be
    turned off.
    """
    access = Access(backend, public_url, tuple(other_origins))
    endpoint = GraphQLEndpoint(
        backend, access, may_introspect=may_introspect, has_playground=has_playground
    )
    routes: list[BaseRoute] = [Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)]
    if has_playground:
        routes.append(Mount(playground.PATH, playground.files()))
    return routes
