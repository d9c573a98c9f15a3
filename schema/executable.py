"""The schema as one executable object, built once."""

from collections.abc import Iterator
from datetime import datetime

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult

from schema.mutations import Mutation
from schema.queries import Query
from schema.scalars import DATETIME
from schema.session import Session
from schema.subscriptions import Subscription
from schema.user import ApiToken, User
from schema.utterance import Utterance


class UsePreparedDocument(SchemaExtension):
    """Executes what the transport has parsed, limited and validated already."""

    def on_operation(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document
        self.execution_context.validation_rules = ()
        yield


class _Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Leave errors to `schema.errors`, which logs faults without what people said."""


EXECUTABLE = _Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[User, Session, Utterance, ApiToken],
    config=StrawberryConfig(scalar_map={datetime: DATETIME}),
    extensions=[UsePreparedDocument],
)


def is_request_error(result: ExecutionResult) -> bool:
    """Return whether nothing was executed: the variables did not fit."""
    return result.data is None and not any(error.path for error in result.errors or ())
