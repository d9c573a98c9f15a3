"""Turns every failure into a GraphQL error for the client; no other module makes them."""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import structlog
from graphql import GraphQLError

from models.engine import NotAvailable, NotStored
from resolvers.refusals import BadUserInput, RateLimited, Refusal

logger = structlog.get_logger(__name__)

FormattedError = dict[str, Any]


def present(error: GraphQLError) -> FormattedError:
    """Format an error for the client: a refusal, bad input, or a masked fault."""
    cause = _cause(error)
    if isinstance(cause, Refusal):
        told = refuse(cause)
    elif _is_bad_input(error, cause):
        told = refuse(BadUserInput(error.message))
    else:
        told = fault(cause, error.path)
    if error.locations:
        told["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        told["path"] = list(error.path)
    return told


MOST: Final = 20
"""Errors in one response."""


def present_all(errors: Sequence[GraphQLError]) -> list[FormattedError]:
    """Format errors for the client; beyond `MOST`, the last one counts the omitted ones."""
    told = [present(error) for error in errors[:MOST]]
    if len(errors) > MOST:
        told[-1] = refuse(BadUserInput(f"{len(errors) - MOST + 1} more errors are not shown."))
    return told


def refuse(refusal: Refusal) -> FormattedError:
    """Format a refusal for the client."""
    extensions: dict[str, Any] = {"code": refusal.code}
    if refusal.field is not None:
        extensions["field"] = refusal.field
    if isinstance(refusal, RateLimited):
        extensions["retryAfter"] = refusal.retry_after
    return {"message": refusal.message, "extensions": extensions}


def fault(error: BaseException, path: Sequence[str | int] | None = None) -> FormattedError:
    """Log an unexpected exception; return a masked error with the id of the log entry.

    The log gets exception types and stack frames, but no messages: a database driver quotes the
    values of the row it could not write, and those are what people said.
    """
    fault_id = uuid4().hex
    place = None if path is None else ".".join(map(str, path))
    # The user must know that nothing was stored; the storage layer has already logged why.
    if any(isinstance(each, NotStored) for each in _chain(error)):
        logger.warning("not_stored", fault_id=fault_id, path=place)
        return _told("This could not be stored.", fault_id)
    if any(isinstance(each, NotAvailable) for each in _chain(error)):
        logger.warning("not_read", fault_id=fault_id, path=place)
        return _told("The data can't be reached.", fault_id)
    logger.error(
        "fault",
        fault_id=fault_id,
        path=place,
        kinds=[f"{type(each).__module__}.{type(each).__qualname__}" for each in _chain(error)],
        stack="".join(
            line for each in _chain(error) for line in traceback.format_tb(each.__traceback__)
        ),
    )
    return _told("Something went wrong on the server.", fault_id)


def _told(what: str, fault_id: str) -> FormattedError:
    message = f"{what} Try again; if it stays, report id {fault_id}."
    return {"message": message, "extensions": {"code": "INTERNAL", "id": fault_id}}


def _cause(error: GraphQLError) -> Exception:
    """Return the original exception; graphql-core wraps an error each time it adds a location."""
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_bad_input(error: GraphQLError, cause: Exception) -> bool:
    if error.path is None:
        # Before execution: syntax, validation, variables. Scalars may raise any of these types.
        return isinstance(cause, GraphQLError | ValueError | TypeError)
    # During execution only an argument can still be the client's fault, such as a nullable
    # variable that is null for a non-null argument. Other errors come from resolvers or results.
    return isinstance(cause, GraphQLError) and cause.message.startswith("Argument ")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
