"""The GraphQL API: types, root fields, limits, and the HTTP and WebSocket transports."""

from schema.app import graphql_app

__all__ = ["graphql_app"]
