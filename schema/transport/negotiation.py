"""Chooses the media type of a response (RFC 9110 §12.5.1; GraphQL over HTTP, "Accept")."""

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
HTML = "text/html"


def preferred(accept: str | None) -> str | None:
    """Return the media type of the response, or None if neither of ours is acceptable.

    A client without a preference gets application/json, which every client reads.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges = _ranges(accept)
    graphql, json = _quality(GRAPHQL, ranges), _quality(JSON, ranges)
    if graphql > json or (graphql == json > 0 and GRAPHQL in ranges):
        return GRAPHQL
    return JSON if json > 0 else None


def wants_html(accept: str | None) -> bool:
    """Return whether a browser asks for a page, not for data."""
    ranges = _ranges(accept or "")
    html = ranges.get(HTML, 0.0)
    return html > 0 and html >= max(ranges.get(GRAPHQL, 0.0), ranges.get(JSON, 0.0))


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            ranges[kind] = max(0.0, min(1.0, float(quality)))
        except ValueError:
            ranges[kind] = 0.0
    return ranges


def _quality(kind: str, ranges: dict[str, float]) -> float:
    # The most specific range wins, even if a wildcard would allow more.
    for candidate in (kind, kind.partition("/")[0] + "/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0
