"""How a subscription's events become JSON, with nothing done for each that can be done once.

graphql-core by itself collects the fields of an operation anew for every event, and keeps what it
collected for as long as the subscription runs: a third of an event's cost, and 1.7 KB of memory an
event that is not given back.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    TypeNameMetaFieldDef,
    Visitor,
    is_object_type,
    visit,
)
from graphql.execution import Executor, create_source_event_stream
from graphql.execution.collect_fields import collect_fields

from resolvers.transcripts.streams import TranscriptEvent
from resolvers.transcripts.watching import Stream
from schema import errors
from schema.context import Context
from schema.executable import EXECUTABLE
from schema.operations.compiled import NotPlain, compiled
from schema.operations.documents import DocumentRefused, Operation
from schema.operations.execution import execution_of
from schema.operations.long_json import encode

_SELECTIONS: Final = 64
"""Selections that are remembered for the next who subscribes with the same document."""
_PAYLOADS: Final = 256
"""Payloads of one selection that are remembered for the other viewers of the same event."""
_LONGEST: Final = 8 * 1024
"""Characters of a payload that is: a page of a replay is read by one viewer."""


class EventFailed(Exception):
    """An event can't be told; `errors` is what the client hears instead, and the stream ends."""

    def __init__(self, told: list[errors.FormattedError]) -> None:
        super().__init__()
        self.errors = told


class Selection:
    """What one subscription wants to know of each event."""

    def __init__(self, executor: Executor[Any]) -> None:
        self._executor = executor
        self._root = _root(executor)
        self._fields = collect_fields(
            executor.schema,
            executor.fragments,
            executor.variable_values,
            self._root,
            executor.operation,
            executor.hide_suggestions,
        ).grouped_field_set

    def payload(self, event: object) -> str | Awaitable[str]:
        """Return an event as the client gets it; to be awaited where a field has to be.

        Raises:
            EventFailed: see there.
        """
        executor = self._executor.build_per_event_executor(event)
        try:
            data = executor.execute_fields(self._root, event, None, self._fields, None)
        except GraphQLError as error:
            raise _failed(executor, error) from error
        if executor.is_awaitable(data):
            return _awaited(executor, data)
        return _written(executor, cast(dict[str, Any], data))


class SharedSelection(Selection):
    """One that says the same to everybody: each event is told once and sent to all its viewers."""

    def __init__(self, executor: Executor[Any]) -> None:
        own = executor.build_per_event_executor(None)
        # It outlives the subscription that it was made for, and nothing in it asks who that was.
        own.context_value = None
        super().__init__(own)
        self._write = compiled(own, self._root, self._fields)
        self._known: OrderedDict[tuple[object, ...], tuple[str, object]] = OrderedDict()

    def payload(self, event: object) -> str | Awaitable[str]:
        """See `Selection.payload`."""
        if not isinstance(event, TranscriptEvent):
            return self._told(event)
        states = event.utterances
        key = (event.cursor, event.is_caught_up, event.end, *map(id, states))
        known = self._known.get(key)
        if known is not None:
            return known[0]
        payload = self._told(event)
        if isinstance(payload, str) and len(payload) <= _LONGEST:
            # What is named by its id must live as long as the name.
            self._known[key] = (payload, states)
            if len(self._known) > _PAYLOADS:
                self._known.popitem(last=False)
        return payload

    def _told(self, event: object) -> str | Awaitable[str]:
        try:
            return self._write(event)
        except Exception:  # whatever it is, graphql-core meets it too, and says so by its rules
            return super().payload(event)


class Selections:
    """The shared selections of those who watch now or did lately, by their operation."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Operation, SharedSelection]] = OrderedDict()

    def of(self, operation: Operation, executor: Executor[Any]) -> Selection:
        """Return how the events of this operation are told."""
        key = id(operation.node)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known[1]
        if not _is_same_for_all(executor):
            return Selection(executor)
        try:
            shared = SharedSelection(executor)
        except NotPlain:
            return Selection(executor)
        self._known[key] = (operation, shared)
        if len(self._known) > _SELECTIONS:
            self._known.popitem(last=False)
        return shared


@dataclass(frozen=True, slots=True)
class Watch:
    """One subscription, not yet started."""

    stream: Stream[Any]
    selection: Selection


async def watch(
    operation: Operation,
    variables: Mapping[str, Any] | None,
    context: Context,
    selections: Selections,
) -> Watch:
    """Prepare a subscription: authorised, with its variables read.

    Raises:
        DocumentRefused: the variables don't fit, or the resolver refused.
    """
    executor = await execution_of(EXECUTABLE._schema, operation, variables, context)
    if isinstance(executor, list):
        raise DocumentRefused(executor)
    found = create_source_event_stream(executor)
    events = await found if executor.is_awaitable(found) else found
    if isinstance(events, ExecutionResult):
        raise DocumentRefused(events.errors or [])
    assert isinstance(events, Stream)
    return Watch(events, selections.of(operation, executor))


async def _awaited(executor: Executor[Any], data: Awaitable[dict[str, Any]]) -> str:
    try:
        return _written(executor, await data)
    except GraphQLError as error:
        raise _failed(executor, error) from error


def _written(executor: Executor[Any], data: dict[str, Any]) -> str:
    if not executor.collected_errors.errors:
        return encode({"data": data})
    told = errors.present_all(executor.collected_errors.errors)
    return encode({"errors": told, "data": data})


def _failed(executor: Executor[Any], error: GraphQLError) -> EventFailed:
    executor.collected_errors.add(error, None)
    return EventFailed(errors.present_all(executor.collected_errors.errors))


class _DependencyVisitor(Visitor):
    """Looks for what lets an answer depend on more than the event."""

    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self._root = schema.subscription_type
        self.found_none = True

    def enter_field(self, *_: object) -> None:
        parent, field = self.types.get_parent_type(), self.types.get_field_def()
        # Strawberry marks what only reads an attribute. Such a field has no arguments either.
        is_plain = field is TypeNameMetaFieldDef or (
            field is not None and getattr(field.resolve, "_is_default", False)
        )
        if parent is not self._root and not (is_plain and is_object_type(parent)):
            self.found_none = False

    def enter_directive(self, *_: object) -> None:
        self.found_none = False


def _is_same_for_all(executor: Executor[Any]) -> bool:
    """Whether an answer depends on the event alone: not on variables, and not on who asks."""
    visitor = _DependencyVisitor(executor.schema)
    for node in (executor.operation, *executor.fragment_definitions.values()):
        visit(node, TypeInfoVisitor(visitor.types, visitor))
    return visitor.found_none


def _root(executor: Executor[Any]) -> GraphQLObjectType:
    root = executor.schema.subscription_type
    assert root is not None
    return root
