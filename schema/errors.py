"""How everything that goes wrong is told to a client: the one place that makes GraphQL errors."""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import structlog
from graphql import GraphQLError

from models.storage import NotStored
from resolvers.refusals import BadUserInput, RateLimited, Refusal

logger = structlog.get_logger(__name__)

FormattedError = dict[str, Any]


def present(error: GraphQLError) -> FormattedError:
    """Return an error as the client sees it: a refusal, bad input, or a masked fault."""
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
"""Errors that one answer tells."""


def present_all(errors: Sequence[GraphQLError]) -> list[FormattedError]:
    """Return errors as the client sees them, the first ones of very many."""
    told = [present(error) for error in errors[:MOST]]
    if len(errors) > MOST:
        told[-1] = refuse(BadUserInput(f"{len(errors) - MOST + 1} more errors are not shown."))
    return told


def refuse(refusal: Refusal) -> FormattedError:
    """Return a refusal as the client sees it."""
    extensions: dict[str, Any] = {"code": refusal.code}
    if refusal.field is not None:
        extensions["field"] = refusal.field
    if isinstance(refusal, RateLimited):
        extensions["retryAfter"] = refusal.retry_after
    return {"message": refusal.message, "extensions": extensions}


def fault(error: BaseException, path: Sequence[str | int] | None = None) -> FormattedError:
    """Log what nobody expected and return it masked, with the id that finds it in the log.

    The log gets types and places. It does not get the exceptions' own words: a driver quotes the
    values of the row it could not write, and those are what people said.
    """
    fault_id = uuid4().hex
    place = None if path is None else ".".join(map(str, path))
    # That nothing was stored is what the person must know; the database has said why, once.
    if any(isinstance(each, NotStored) for each in _chain(error)):
        logger.warning("not_stored", fault_id=fault_id, path=place)
        return _told("This could not be stored.", fault_id)
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
    """Return what was raised first; graphql-core wraps an error each time it adds a place to it."""
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_bad_input(error: GraphQLError, cause: Exception) -> bool:
    if error.path is None:
        # Before execution: syntax, validation, variables. Their scalars raise what they like.
        return isinstance(cause, GraphQLError | ValueError | TypeError)
    # During execution only an argument can still be the client's fault, as when a variable that
    # may be null is null where the argument may not be; the rest is a resolver's or a result's.
    return isinstance(cause, GraphQLError) and cause.message.startswith("Argument ")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
