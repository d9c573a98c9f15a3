"""The GraphQL routes that `asgi.build_app` mounts."""

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from resolvers.backend import Backend
from schema import playground
from schema.transport.authenticator import Authenticator
from schema.transport.http import GraphQLEndpoint


def graphql_app(
    backend: Backend,
    access: Authenticator,
    *,
    may_introspect: bool = True,
    has_playground: bool = True,
) -> list[BaseRoute]:
    """Return the routes of the GraphQL interface, its WebSocket and the playground.

    Introspection and the playground can be turned off.
    """
    endpoint = GraphQLEndpoint(
        backend, access, may_introspect=may_introspect, has_playground=has_playground
    )
    routes: list[BaseRoute] = [Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)]
    if has_playground:
        routes.append(Mount(playground.PATH, playground.files()))
    return routes
