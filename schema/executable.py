"""The executable schema, built once."""

from datetime import datetime

import strawberry
from graphql import GraphQLInputObjectType
from strawberry.schema.config import StrawberryConfig

from schema.mutations import Mutation
from schema.mutations.saving import message_from
from schema.queries import Query
from schema.subscriptions import Subscription
from schema.types.scalars import DATETIME
from schema.types.session import Session
from schema.types.user import ApiToken, User
from schema.types.utterance import Utterance

EXECUTABLE = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[User, Session, Utterance, ApiToken],
    config=StrawberryConfig(scalar_map={datetime: DATETIME}),
)
"""Transports only use its types; `schema.operations.execution` runs the operations."""

_messages = EXECUTABLE._schema.type_map["MessageInput"]
assert isinstance(_messages, GraphQLInputObjectType)
# Convert each message only once: a request may have ten thousand.
_messages.out_type = message_from  # type: ignore[assignment,method-assign]
