"""What `asgi.build_app` mounts."""

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

    Cookies count on pages of `public_url`'s origin and of `other_origins` (a development server's,
    for one), and on no others. Behind https they are Secure and their name begins with `__Host-`.
    Clients may be kept from asking for the schema, and browsers from the playground.
    """
    access = Access(backend, public_url, tuple(other_origins))
    endpoint = GraphQLEndpoint(
        backend, access, may_introspect=may_introspect, has_playground=has_playground
    )
    routes: list[BaseRoute] = [Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)]
    if has_playground:
        routes.append(Mount(playground.PATH, playground.files()))
    return routes
