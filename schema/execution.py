"""Executes operations, and yields to the event loop in long lists."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
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
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.context import Context
from schema.documents import Operation
from schema.texts import TEXTS, TextBudget
from schema.variables import check

YIELD_ABOVE: Final = 20
"""Lists of more items look at the time."""
YIELD_AFTER_S: Final = 0.003
"""Seconds after which the event loop goes on with others."""
MANY: Final = 1_000
"""Values in variables that are read in one go; more are read beside the event loop."""
_AWAITABLE: Final = (CoroutineType, asyncio.Future)


class Execution(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's execution, which by itself completes a list of any length in one go."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turn_began = time.perf_counter()
        self._waiting: asyncio.Future[None] | None = None

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        """Complete a list; see there."""
        found = items if isinstance(items, list | tuple) else list(items)
        if len(found) <= YIELD_ABOVE:
            return super().complete_iterable_value(
                item_type, field_details_list, info, path, found, position_context
            )
        return self.complete_async_iterator_value(
            item_type, field_details_list, info, path, self._yielding(found), position_context
        )

    async def _yielding(self, items: Iterable[Any]) -> AsyncIterator[Any]:
        for item in items:
            yield item
            if time.perf_counter() - self._turn_began > YIELD_AFTER_S:
                await self._next_turn()

    async def _next_turn(self) -> None:
        """Wait until others have had theirs, together with the operation's other lists."""
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            loop.call_soon(self._waiting.set_result, None)
        waiting = self._waiting
        await asyncio.shield(waiting)
        if self._waiting is waiting:
            # The first list to go on: others may have had long turns since the result was set.
            self._waiting = None
            self._turn_began = time.perf_counter()

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete an object, once its text is counted.

        Raises:
            BadUserInput: the response would hold too much text.
        """
        if (field := TEXTS.get(return_type.name)) is not None:
            budget: TextBudget | None = info.context.texts
            if budget is not None:
                budget.add(getattr(result, field), field, info)
        return super().complete_object_value(
            return_type, field_details_list, info, path, result, position_context
        )


def _is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Whether a value has to be waited for.

    graphql-core asks whether it can be: rows of the ORM can, to no purpose, so that each would take
    a task of its own.
    """
    return isinstance(value, _AWAITABLE)


async def execution_of(
    schema: GraphQLSchema,
    operation: Operation,
    variables: Mapping[str, Any] | None,
    context: Context,
) -> Execution | list[GraphQLError]:
    """Read the variables of an operation; return what executes it, or what is wrong with them.

    Raises:
        BadUserInput: they are too many or too long.
    """
    count = check(schema, operation.node, variables)
    name = operation.node.name

    def build() -> Any:
        return Execution.build(
            schema,
            operation.document,
            context_value=context,
            raw_variable_values=dict(variables or {}),
            is_awaitable=_is_awaitable,
            operation_name=name.value if name is not None else None,
        )

    return cast(
        Execution | list[GraphQLError],
        build() if count <= MANY else await asyncio.to_thread(build),
    )


async def execute(
    schema: GraphQLSchema,
    operation: Operation,
    variables: Mapping[str, Any] | None,
    context: Context,
) -> ExecutionResult:
    """Execute a query or a mutation.

    Raises:
        BadUserInput: the variables are too many or too long.
    """
    execution = await execution_of(schema, operation, variables, context)
    if isinstance(execution, list):
        return ExecutionResult(data=None, errors=execution)
    result = execution.execute_operation()
    return cast(ExecutionResult, await result if execution.is_awaitable(result) else result)


def is_request_error(result: ExecutionResult) -> bool:
    """Return whether nothing was executed: the variables did not fit."""
    return result.data is None and not any(error.path for error in result.errors or ())
