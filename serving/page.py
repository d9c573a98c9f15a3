"""Serves the single-page app in `frontend/dist`: its files, and its page for all of its routes."""

import gzip
import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from serving.probes import home

BUILT: Final = Path(__file__).resolve().parent.parent / "frontend" / "dist"
INDEX: Final = "index.html"
HASHED: Final = "assets/"
"""Files in this folder have a hash of their content in their name, so they never change."""

LIVEKIT_CLOUD: Final = ".livekit.cloud"
COMPRESSED: Final = (("br", ".br"), ("gzip", ".gz"))
"""Encodings that the build has prepared, the better one first."""

_TYPES: Final = {
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the build, in each available encoding."""

    bodies: dict[str, bytes]
    media_type: str
    etag: str
    is_hashed: bool

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        headers = {
            **headers,
            "Cache-Control": "public, max-age=31536000, immutable"
            if self.is_hashed
            else "no-cache",
            "ETag": self.etag,
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        encoding = self._encoding(request.headers.get("accept-encoding", ""))
        if encoding:
            headers["Content-Encoding"] = encoding
        return Response(self.bodies[encoding], media_type=self.media_type, headers=headers)

    def _encoding(self, accepted: str) -> str:
        names = {
            part.split(";")[0].strip()
            for part in accepted.lower().split(",")
            if part.replace(" ", "").partition(";q=")[2] not in ("0", "0.0")
        }
        return next((name for name, _ in COMPRESSED if name in names and name in self.bodies), "")


def app_page(
    public_url: str,
    *,
    media_urls: Sequence[str] = (),
    is_demo: bool = False,
    built: Path = BUILT,
) -> list[BaseRoute]:
    """Return the routes of the app, to be mounted last; those of a small page if it is not built.

    Args:
        public_url: The URL that the small page tells people to connect to.
        media_urls: Other servers that the page may connect to, such as a LiveKit server.
        is_demo: Whether the page tells people how to connect a language model.
        built: The folder of the build; it is read once.
    """
    if not (built / INDEX).is_file():
        return [home(public_url)]
    files = dict(_read(built, _Place(urlsplit(public_url).path, is_demo)))
    headers = _headers(media_urls)

    async def show(request: Request) -> Response:
        found = files.get(request.url.path.removeprefix("/") or INDEX)
        if found is None:
            if not _is_for_a_person(request):
                return PlainTextResponse("This page doesn't exist.", status_code=404)
            found = files[INDEX]
        return found.answer(request, headers)

    return [Route("/{path:path}", show)]


def _is_for_a_person(request: Request) -> bool:
    """Return whether a browser asks for a page: any path may be a route of the app."""
    name = request.url.path.rsplit("/", 1)[-1]
    return "text/html" in request.headers.get("accept", "") and "." not in name


@dataclass(frozen=True, slots=True)
class _Place:
    """What the page must know about its server."""

    path: str
    is_demo: bool

    def tell(self, html: bytes) -> bytes:
        """Write this into the page."""
        if self.is_demo:
            html = html.replace(b'<html lang="en"', b'<html lang="en" data-answers="demo"', 1)
        # All URLs in the page are relative to this.
        return html.replace(b'<base href="/"', f'<base href="{self.path}/"'.encode(), 1)


def _read(built: Path, place: _Place) -> list[tuple[str, _File]]:
    suffixes = {suffix for _, suffix in COMPRESSED}
    return [
        (path.relative_to(built).as_posix(), _file(built, path, place))
        for path in sorted(built.rglob("*"))
        if path.is_file() and path.suffix not in suffixes
    ]


def _file(built: Path, path: Path, place: _Place) -> _File:
    built_as = path.read_bytes()
    plain = place.tell(built_as) if path.name == INDEX else built_as
    if plain != built_as:
        bodies = {"": plain, "gzip": gzip.compress(plain)}
    else:
        packed = {name: path.with_name(path.name + suffix) for name, suffix in COMPRESSED}
        found = {name: file.read_bytes() for name, file in packed.items() if file.is_file()}
        bodies = {"": plain, **found}
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return _File(
        bodies,
        media_type or "application/octet-stream",
        # Weak, because the encodings differ in their bytes.
        f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"',
        path.relative_to(built).as_posix().startswith(HASHED),
    )


def _headers(media_urls: Sequence[str]) -> dict[str, str]:
    connect = " ".join(["'self'", *filter(None, map(_origins, media_urls))])
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        f"connect-src {connect}",
        "base-uri 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _origins(url: str) -> str:
    """Return a server's WebSocket and HTTP origins: clients use both."""
    parts = urlsplit(url)
    if not parts.netloc:
        return ""
    is_secure = parts.scheme in ("https", "wss")
    schemes = ("wss", "https") if is_secure else ("ws", "http")
    # LiveKit Cloud redirects clients to the nearest region, each with its own host name.
    is_cloud = (parts.hostname or "").endswith(LIVEKIT_CLOUD)
    places = [parts.netloc, f"*{LIVEKIT_CLOUD}"] if is_cloud else [parts.netloc]
    return " ".join(f"{scheme}://{place}" for place in places for scheme in schemes)
