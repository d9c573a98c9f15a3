"""The executable schema, built once."""

from datetime import datetime

import strawberry
from graphql import GraphQLInputObjectType
from strawberry.schema.config import StrawberryConfig

from schema.mutations import Mutation
from schema.mutations.saving import message_from
from schema.queries import Query
from schema.scalars import DATETIME
from schema.session import Session
from schema.subscriptions import Subscription
from schema.user import ApiToken, User
from schema.utterance import Utterance

EXECUTABLE = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[User, Session, Utterance, ApiToken],
    config=StrawberryConfig(scalar_map={datetime: DATETIME}),
)
"""Transports only use its types; `schema.execution` runs the operations that they prepare."""

_messages = EXECUTABLE._schema.type_map["MessageInput"]
assert isinstance(_messages, GraphQLInputObjectType)
# Convert each message only once: a request may have ten thousand.
_messages.out_type = message_from  # type: ignore[assignment,method-assign]
