"""Executes operations, and yields to the event loop in long lists."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from types import CoroutineType
from typing import Any, Final, TypeGuard, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from models.turns import Turns
from schema.context import Context
from schema.operations.documents import Operation
from schema.operations.plain import Plain
from schema.operations.variables import look, read_in_turns
from schema.texts import TEXTS, TextBudget

YIELD_ABOVE: Final = 20
"""Longer lists check whether to yield after each item."""
_AWAITABLE: Final = (CoroutineType, asyncio.Future)


class Execution(StrawberryGraphQLCoreExecutionContext):
    """Yields in long lists, and reads plain fields at once.

    graphql-core by itself completes a list of any length in one go.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turns = Turns()
        self._plain: dict[int, tuple[GroupedFieldSet, Plain]] = {}
        """By the identity of the selection, which lives as long as its entry."""

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """Read the plain fields, and let graphql-core execute the others."""
        known = self._plain.get(id(grouped_field_set))
        if known is None:
            known = grouped_field_set, Plain(parent_type, grouped_field_set)
            self._plain[id(grouped_field_set)] = known
        plain = known[1]
        others = plain.others
        try:
            values = plain.values(source_value)
        except Exception:
            others = grouped_field_set
            values = {}
        if not others:
            return values
        found = super().execute_fields(parent_type, source_value, path, others, position_context)
        if self.is_awaitable(found):
            return _merged(values, found)
        values.update(cast(dict[str, Any], found))
        return values

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        """Complete a list, yielding to the event loop if it is long."""
        found = items if isinstance(items, list | tuple) else list(items)
        if len(found) <= YIELD_ABOVE:
            return super().complete_iterable_value(
                item_type, field_details_list, info, path, found, position_context
            )
        return self.complete_async_iterator_value(
            item_type, field_details_list, info, path, self._turns.of(found), position_context
        )

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Count an object's text, then complete the object.

        Raises:
            BadUserInput: when the response would hold too much text.
        """
        if (field := TEXTS.get(return_type.name)) is not None:
            budget: TextBudget | None = info.context.texts
            if budget is not None:
                budget.add(getattr(result, field), field, info)
        return super().complete_object_value(
            return_type, field_details_list, info, path, result, position_context
        )


async def _merged(values: dict[str, Any], found: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    values.update(await found)
    return values


def _is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Return whether a value must be awaited.

    graphql-core asks whether it can be awaited. ORM rows can, to no purpose, and each would take a
    task of its own.
    """
    return isinstance(value, _AWAITABLE)


async def execution_of(
    schema: GraphQLSchema,
    operation: Operation,
    variables: Mapping[str, Any] | None,
    context: Context,
) -> Execution | list[GraphQLError]:
    """Read an operation's variables; return its execution, or the errors in the variables.

    Raises:
        BadUserInput: when there are too many variables or they are too long.
    """
    given = dict(variables or {})
    long = (await look(schema, operation.node, given)).long
    read = await read_in_turns(long)
    if read is None:
        # Let graphql-core report what is wrong with them.
        return await asyncio.to_thread(_built, schema, operation, given, context)
    for each in long:
        given = each.emptied(given)
    built = _built(schema, operation, given, context)
    if isinstance(built, Execution):
        for each, items in zip(long, read, strict=True):
            each.fill(built.variable_values.coerced, items)
    return built


def _built(
    schema: GraphQLSchema, operation: Operation, variables: dict[str, Any], context: Context
) -> Execution | list[GraphQLError]:
    name = operation.node.name
    built = Execution.build(
        schema,
        operation.document,
        context_value=context,
        raw_variable_values=variables,
        is_awaitable=_is_awaitable,
        operation_name=name.value if name is not None else None,
    )
    return cast(Execution | list[GraphQLError], built)


async def execute(
    schema: GraphQLSchema,
    operation: Operation,
    variables: Mapping[str, Any] | None,
    context: Context,
) -> ExecutionResult:
    """Execute a query or a mutation.

    Raises:
        BadUserInput: when there are too many variables or they are too long.
    """
    execution = await execution_of(schema, operation, variables, context)
    if isinstance(execution, list):
        return ExecutionResult(data=None, errors=execution)
    result = execution.execute_operation()
    return cast(ExecutionResult, await result if execution.is_awaitable(result) else result)


def is_request_error(result: ExecutionResult) -> bool:
    """Return whether nothing was executed because the variables were invalid."""
    return result.data is None and not any(error.path for error in result.errors or ())
