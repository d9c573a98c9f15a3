"""A client for GraphQL over HTTP: one request at a time, on one connection."""

import json
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, Self


class BenchClient:
    """Sends requests with an API token."""

    def __init__(self, port: int, secret: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60.0)
        self._headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, query: str, variables: Mapping[str, object]) -> tuple[Any, float]:
        """Return the data of the answer, and the milliseconds until it was complete."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        begin = time.perf_counter()
        self._connection.request("POST", "/graphql", body, self._headers)
        raw = self._connection.getresponse().read()
        took = 1e3 * (time.perf_counter() - begin)
        answer = json.loads(raw)
        if "errors" in answer:
            raise RuntimeError(f"refused: {answer['errors'][0]['message']}")
        return answer["data"], took

    def ping(self) -> float:
        """Return the milliseconds that `/healthz` takes to answer."""
        begin = time.perf_counter()
        self._connection.request("GET", "/healthz")
        self._connection.getresponse().read()
        return 1e3 * (time.perf_counter() - begin)
