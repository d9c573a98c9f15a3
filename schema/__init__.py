"""The GraphQL face: types, root fields, limits, HTTP and WebSocket transport."""

from schema.app import graphql_app

__all__ = ["graphql_app"]
