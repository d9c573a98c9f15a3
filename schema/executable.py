"""The schema as one executable object, built once."""

from datetime import datetime

import strawberry
from strawberry.schema.config import StrawberryConfig

from schema.mutations import Mutation
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
"""Transports take its types only; `schema.execution` executes what they have prepared."""
