"""Operations of migrations that only one kind of database needs."""

from typing import Any, Literal

from tortoise.migrations import operations as ops


class Only(ops.TortoiseOperation):
    """Runs an operation on one kind of database, and leaves the others alone.

    Args:
        dialect: The kind of database.
        operation: An operation that changes no model.
    """

    reduces_to_sql = True

    def __init__(
        self, dialect: Literal["sqlite", "postgres"], operation: ops.TortoiseOperation
    ) -> None:
        self.dialect = dialect
        self.operation = operation
        self.reversible = operation.reversible
        self.atomic = operation.atomic

    def describe(self) -> str:
        """Say what it does and where."""
        return f"{self.operation.describe()} on {self.dialect}"

    async def database_forward(
        self, app_label: str, old_state: Any, new_state: Any, state_editor: Any = None
    ) -> None:
        """Apply the operation."""
        if self._is_for(state_editor):
            await self.operation.database_forward(app_label, old_state, new_state, state_editor)

    async def database_backward(
        self, app_label: str, old_state: Any, new_state: Any, state_editor: Any = None
    ) -> None:
        """Undo the operation."""
        if self._is_for(state_editor):
            await self.operation.database_backward(app_label, old_state, new_state, state_editor)

    def _is_for(self, editor: Any) -> bool:
        return editor is not None and editor.client.capabilities.dialect == self.dialect
