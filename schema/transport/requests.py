"""Reads GraphQL requests from bodies and query strings, or says what is wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resolvers.refusals import BadUserInput
from schema.operations import long_json


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation to execute."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


async def read_json(data: str | bytes) -> object:
    """Decode JSON.

    Raises:
        BadUserInput: when it isn't JSON, nests too deeply, or holds too many values.
    """
    try:
        return await long_json.read(data)
    except RecursionError:
        raise BadUserInput("The JSON is nested too deeply.") from None
    except long_json.TooManyValues:
        raise BadUserInput(
            f"The JSON holds more than {long_json.VALUES:,} values. Ask for less at once."
        ) from None
    # Invalid JSON, invalid UTF-8 and numbers of thousands of digits all raise ValueError.
    except ValueError:
        raise BadUserInput("This is not JSON in UTF-8.") from None


def from_mapping(data: object) -> GraphQLRequest:
    """Check the members of a request.

    Raises:
        BadUserInput: when a member is invalid; names it.
    """
    if not isinstance(data, Mapping):
        raise BadUserInput("Expected a JSON object with `query`, and maybe `variables`.")
    query = data.get("query")
    extensions = data.get("extensions")
    if query is None and isinstance(extensions, Mapping) and "persistedQuery" in extensions:
        # Apollo and other clients know this message, and then send the document.
        # https://www.apollographql.com/docs/apollo-server/performance/apq
        raise BadUserInput("PersistedQueryNotSupported", field=["extensions", "persistedQuery"])
    if not isinstance(query, str) or not query.strip():
        raise BadUserInput("`query` must be a string with a GraphQL document.", field=["query"])
    _optional(data, "extensions", Mapping, "an object")
    return GraphQLRequest(
        query=query,
        variables=_optional(data, "variables", dict, "an object"),
        operation_name=_optional(data, "operationName", str, "a string"),
    )


async def from_query_string(parameters: Mapping[str, str]) -> GraphQLRequest:
    """Read a request from a URL's parameters, where variables and extensions are JSON.

    Raises:
        BadUserInput: when a parameter is invalid; names it.
    """
    data: dict[str, object] = dict(parameters)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            data[name] = await read_json(parameters[name])
        else:
            data.pop(name, None)
    return from_mapping({**data, "operationName": data.get("operationName") or None})


def _optional(data: Mapping[str, Any], name: str, kind: type, told: str) -> Any:
    value = data.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadUserInput(f"`{name}` must be {told} or null.", field=[name])
    return value
