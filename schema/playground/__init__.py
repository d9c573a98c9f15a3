"""The playground: GraphiQL, served entirely from our own origin."""

from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "files"
PATH = "/graphql/playground"
"""Where the playground's files are served."""

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # GraphiQL's editor (CodeMirror) sets styles on elements as it lays out text.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>VoxQL: playground not built</title>
<h1>The playground is not built yet</h1>
<p>Its files come from npm and are put together once. In the repository, type</p>
<pre>make setup</pre>
<p>and load this page again. The GraphQL interface itself works without it: POST to this path.</p>
</html>
"""


def page() -> Response:
    """Return the playground, or instructions to build it."""
    if (FOLDER / "npm" / "graphiql.js").is_file():
        return FileResponse(FOLDER / "index.html", headers=_HEADERS)
    return HTMLResponse(_NOT_BUILT, headers=_HEADERS)


def files() -> StaticFiles:
    """Serve the page's scripts and styles, ours and those from npm."""
    return StaticFiles(directory=FOLDER)
