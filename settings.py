"""Every setting: its name in the environment, its default, and what it means."""

import difflib
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "VOXQL_"
OTHER_NAMES: Final = frozenset({"VOXQL_TOKEN", "VOXQL_URL"})
"""Variables read by clients: `voxql talk`, and an agent that runs alone."""

SHORTEST_KEY: Final = 16

AgentMode = Literal["local", "external", "livekit", "none"]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


MIN_POINTS: Final = 12_000
"""`schema.operations.cost.MAX_COST`: a budget must cover the largest operation."""
_PUBLIC_PATH: Final = re.compile(r"([\w.~-]+(/[\w.~-]+)*)?", re.ASCII)
"""The path allowed in VOXQL_PUBLIC_URL, without its leading slash."""
_HOST: Final = r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?"
_SEVERAL_REDIS: Final = re.compile(
    rf"rediss?\+(?:(?P<sentinel>sentinel)|cluster)://([^@/?#]*@)?{_HOST}(,{_HOST})*"
    r"(?(sentinel)/[^/?#]+(/\d*)?|/?0?)(\?[^#]*)?",
    re.ASCII,
)
"""A URL of Redis with several hosts (hub/redis/address.py)."""


class SettingsError(Exception):
    """The settings can't be used; the message has a line for each invalid one."""


class Settings(BaseSettings):
    """The settings from the environment, validated."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
    )

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. The default can be reached from this machine only.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    data_dir: Path = Field(
        default=Path("var"), description="Folder of the database and of the keys."
    )
    database_url: str = Field(
        default="",
        repr=False,  # it may have a password
        description="Database: `postgres://user:password@host/name`, or `sqlite:///path`. "
        "When empty: SQLite, in `voxql.db` in the data folder.",
    )
    redis_url: str = Field(
        default="",
        repr=False,  # it may have a password
        description="Redis 7 or Valkey, through which several processes share events and rate "
        "limits, as in `redis://host:6379/0`, `redis+sentinel://host:26379,host:26379/service` or "
        "`redis+cluster://host:6379,host:6379`. Needs PostgreSQL, and LiveKit for sound. "
        "When empty: one process.",
    )
    public_url: str = Field(
        default="",
        description="Where people and agents reach the server, with http or https; it may have a "
        "path. When empty: made of host and port.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Further names that the server goes by, beside that of `VOXQL_PUBLIC_URL`; "
        "separated by commas.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses and networks of proxies, separated by commas: what they say of a "
        "client's address and scheme (`X-Forwarded-For`, `X-Forwarded-Proto`) is believed. "
        "When empty: no proxy is trusted.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        description="What `/metrics` wants as `Authorization: Bearer`, at least 16 characters. "
        "When empty: it answers this machine only.",
    )
    introspection: bool = Field(
        default=True, description="Whether clients may ask for the schema (`__schema`, `__type`)."
    )
    playground: bool = Field(
        default=True, description="Whether a browser finds the playground at `/graphql`."
    )
    points_per_minute: int = Field(
        default=2_000_000,
        ge=0,
        description="The work that one viewer may ask for: points of operations that cost more "
        "than 500 (see the limits in docs/api.md). `0`: any amount.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged: `debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="How it is logged: `json` (an object a line), `text` (for people), or `auto` "
        "(text on a terminal, else JSON).",
    )

    agent: AgentMode = Field(
        default="local",
        description="Who talks: `local` (the shipped agent, started with the server), `external` "
        "(workers that connect by themselves), `livekit`, or `none`.",
    )
    agent_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = (
        Field(default="voxql", description="The agent that talks when a client names none.")
    )
    agent_places: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Conversations that the shipped agent holds at once. "
        "When empty: as many as the machine's cores allow.",
    )
    recogniser: str = Field(
        default="moonshine",
        description="What the shipped agent hears with: `moonshine`, or `module:function`.",
    )
    voice: str = Field(
        default="hibari",
        description="What the shipped agent speaks with: `hibari`, or `module:function`.",
    )
    greeting: bool = Field(
        default=True,
        description="Whether the shipped agent speaks first when a conversation begins.",
    )
    worker_key: SecretStr | None = Field(
        default=None,
        description="What a worker shows to be let in, at least 16 characters. "
        "When empty: made once, in `worker.key` in the data folder.",
    )

    llm_base_url: str = Field(
        default="",
        description="An OpenAI-compatible API for the replies, such as Ollama's "
        "`http://localhost:11434/v1`. When empty: the built-in demo answers.",
    )
    llm_api_key: SecretStr | None = Field(
        default=None, description="The key of that API, if it wants one."
    )
    llm_model: str = Field(
        default="", description="The model to ask there, such as `llama3.2`; needed with an API."
    )

    livekit_url: str = Field(
        default="",
        validation_alias="LIVEKIT_URL",
        description="LiveKit server, for `VOXQL_AGENT=livekit`.",
    )
    livekit_api_key: str = Field(
        default="", validation_alias="LIVEKIT_API_KEY", description="LiveKit's API key."
    )
    livekit_api_secret: SecretStr | None = Field(
        default=None, validation_alias="LIVEKIT_API_SECRET", description="LiveKit's API secret."
    )

    start_timeout_s: Seconds = Field(
        default=5, description="Seconds that an agent has to join before its session is FAILED."
    )
    grace_s: Seconds = Field(
        default=10,
        description="Seconds that an agent has to hand in its last words when a session ends.",
    )
    abandon_s: Seconds = Field(
        default=60,
        description="Seconds without agent or person after which a session is ABANDONED.",
    )
    retry_s: Seconds = Field(
        default=60,
        description="Seconds that a FAILED session waits for a retry before it is ENDED.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Fill in derived settings, and check those that depend on others."""
        # Through __dict__, so that a derived value does not count as explicitly set.
        self.__dict__["data_dir"] = self.data_dir.expanduser().absolute()
        if not self.database_url:
            path = quote(str(self.data_dir / "voxql.db"))
            self.__dict__["database_url"] = f"sqlite://{path}"
        self.__dict__["public_url"] = self.public_url.rstrip("/") or self._address()
        _check_url("VOXQL_PUBLIC_URL", self.public_url, {"http", "https"})
        if not _PUBLIC_PATH.fullmatch(self.public_url.partition("://")[2].partition("/")[2]):
            raise ValueError(
                "VOXQL_PUBLIC_URL: expected a plain path or none, as in "
                "https://talk.example.org or https://example.org/voice"
            )
        if 0 < self.points_per_minute < MIN_POINTS:
            raise ValueError(
                f"VOXQL_POINTS_PER_MINUTE: expected 0 or at least {MIN_POINTS}, which one "
                "operation may cost"
            )
        for proxy in self.proxies:
            _check_network("VOXQL_TRUSTED_PROXIES", proxy)
        if self.metrics_token and len(self.metrics_token.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"VOXQL_METRICS_TOKEN: needs at least {SHORTEST_KEY} characters")
        _check_redis_url(self.redis_url)
        if self.redis_url and self.database_url.startswith("sqlite:"):
            raise ValueError(
                "VOXQL_REDIS_URL: is for several processes, and SQLite serves only one. Several "
                "need PostgreSQL: VOXQL_DATABASE_URL=postgres://…"
            )
        if self.redis_url and self.agent == "local":
            raise ValueError(
                "VOXQL_AGENT=local: its sound meets in one process, and VOXQL_REDIS_URL is for "
                "several. Let LiveKit carry the sound: VOXQL_AGENT=livekit"
            )
        _check_url("VOXQL_LLM_BASE_URL", self.llm_base_url, {"http", "https"})
        _check_url("LIVEKIT_URL", self.livekit_url, {"ws", "wss", "http", "https"})
        if self.worker_key and len(self.worker_key.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"VOXQL_WORKER_KEY: needs at least {SHORTEST_KEY} characters")
        _check_together(
            "a language model",
            {"VOXQL_LLM_BASE_URL": self.llm_base_url, "VOXQL_LLM_MODEL": self.llm_model},
            needed=bool(self.llm_base_url or self.llm_model or self.llm_api_key),
        )
        _check_together(
            "VOXQL_AGENT=livekit",
            {
                "LIVEKIT_URL": self.livekit_url,
                "LIVEKIT_API_KEY": self.livekit_api_key,
                "LIVEKIT_API_SECRET": self.livekit_api_secret,
            },
            needed=self.agent == "livekit",
        )
        return self

    def _address(self) -> str:
        """Return the address that a browser on this machine would use."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound
        host = everywhere.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def bound_to(self, port: int) -> Self:
        """Return these settings with the port that was actually bound, for `VOXQL_PORT=0`."""
        bound = self.model_copy(update={"port": port})
        if "public_url" not in self.model_fields_set:
            bound.__dict__["public_url"] = bound._address()
        return bound

    @property
    def proxies(self) -> list[str]:
        """The addresses and networks of `trusted_proxies`."""
        return _listed(self.trusted_proxies)

    @property
    def other_hosts(self) -> list[str]:
        """The names of `allowed_hosts`."""
        return _listed(self.allowed_hosts)

    def mind(self) -> str:
        """Describe what answers for the shipped agent, without a secret that its URL may hold."""
        if not self.llm_base_url:
            return (
                "built-in demo. Set VOXQL_LLM_BASE_URL (for example http://localhost:11434/v1) and "
                "VOXQL_LLM_MODEL to connect a model"
            )
        return f"{self.llm_model} at {urlsplit(self.llm_base_url).netloc.rpartition('@')[2]}"

    def worker_secret(self) -> str:
        """Return the key that workers show; if none is set, create it the first time."""
        if self.worker_key:
            return self.worker_key.get_secret_value()
        return kept_secret(self.data_dir / "worker.key")

    def signing_secret(self) -> str:
        """Return the secret that signs bridge and media tokens; create it the first time."""
        return kept_secret(self.data_dir / "secret.key")


def load(**given: Any) -> Settings:
    """Read the settings from the process's environment.

    Args:
        **given: Settings by field name that override it, such as a command's options; None is
            ignored.

    Raises:
        SettingsError: when a setting is invalid; the message names each such variable and what it
            expects.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("\n".join(map(_complaint, error.errors()))) from None


def variable_names() -> dict[str, str]:
    """Return the environment variable of each setting, by field name."""
    return {
        name: str(field.validation_alias or f"{PREFIX}{name.upper()}")
        for name, field in Settings.model_fields.items()
    }


def misspelt(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each unknown VOXQL_… variable, suggesting a similar name."""
    known = {*variable_names().values(), *OTHER_NAMES}
    sentences = []
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        sentences.append(f"{name} is not a setting of VoxQL{hint}")
    return sentences


def kept_secret(path: Path) -> str:
    """Return the secret in this file; the first process creates it, readable by its user only.

    The secret is written to a draft, which is then linked to its place: if two processes start at
    once, one creates it and both read the same, and a crash leaves no partial secret.
    """
    try:
        secret = _kept_secret(path)
    except OSError as error:
        raise SettingsError(
            f"The key in {path} can't be read or made: {error.strerror}. The folder has to belong "
            "to the user that runs VoxQL; another one is named with VOXQL_DATA_DIR=…"
        ) from error
    except UnicodeDecodeError:
        secret = ""
    if len(secret) < SHORTEST_KEY:
        raise SettingsError(f"{path} holds no usable key; delete it, and a new one is made.")
    return secret


def _kept_secret(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _check_network(name: str, value: str) -> None:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError(
            f"{name}: expected addresses or networks, as in 10.0.0.0/8 (it is {value!r})"
        ) from None


def _check_url(name: str, value: str, schemes: set[str]) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        is_complete = parts.scheme in schemes and bool(parts.hostname or parts.scheme == "unix")
    except ValueError:
        is_complete = False
    if not is_complete:
        expected = " or ".join(f"{scheme}://…" for scheme in sorted(schemes))
        raise ValueError(f"{name}: expected {expected}")


def _check_redis_url(value: str) -> None:
    if not value or _SEVERAL_REDIS.fullmatch(value):
        return
    try:
        _check_url("", value, {"redis", "rediss", "unix"})
    except ValueError:
        raise ValueError(
            "VOXQL_REDIS_URL: expected redis://host, rediss://host, unix://path, "
            "redis+sentinel://host,host/service or redis+cluster://host,host (rediss… for TLS)"
        ) from None


def _check_together(purpose: str, values: Mapping[str, object], *, needed: bool) -> None:
    missing = [name for name, value in values.items() if not value]
    if needed and missing:
        raise ValueError(f"{', '.join(missing)}: needed for {purpose}")


def _complaint(error: Any) -> str:
    """Describe an error in one line, without repeating a value that may be a secret."""
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(error["loc"][0])
    name = variable_names().get(field, field)
    shown = "" if "key" in field or "secret" in field.lower() else f" (it is {error['input']!r})"
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}{shown}"
