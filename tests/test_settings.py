"""Settings from the environment are checked and completed, never silently guessed."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import settings
from hub.counts import RedisCounts
from hub.redis import RedisHub


def test_without_any_variable_everything_stays_on_this_machine() -> None:
    """The defaults listen on loopback, keep data in ./var, and start the shipped agent."""
    values = settings.load()

    assert (values.host, values.port, values.agent) == ("127.0.0.1", 8000, "local")
    assert values.public_url == "http://127.0.0.1:8000"
    assert values.data_dir == Path.cwd() / "var"
    assert values.database_url == f"sqlite://{Path.cwd()}/var/voxql.db"


def test_a_variable_that_is_empty_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts and compose files often pass variables on without a value."""
    monkeypatch.setenv("VOXQL_PORT", "")
    monkeypatch.setenv("VOXQL_PUBLIC_URL", "")

    values = settings.load()

    assert values.port == 8000
    assert values.bound_to(81).public_url == "http://127.0.0.1:81"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8123"),
        ("0.0.0.0", "http://127.0.0.1:8123"),
        ("::", "http://[::1]:8123"),
        ("talk.example.org", "http://talk.example.org:8123"),
    ],
)
def test_the_public_url_is_made_of_host_and_port(host: str, url: str) -> None:
    """The URL opens in a browser on this machine and has the port that was bound."""
    assert settings.load(host=host, port=0).bound_to(8123).public_url == url


def test_a_public_url_that_was_given_stays() -> None:
    """Behind a proxy, the bound port says nothing about the public address."""
    values = settings.load(public_url="https://talk.example.org/", port=0)

    assert values.bound_to(8123).public_url == "https://talk.example.org"
    assert values.bound_to(8123).port == 8123


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"port": "eighty"}, "VOXQL_PORT: input should be a valid integer"),
        ({"port": 70000}, "VOXQL_PORT: input should be less than or equal to 65535"),
        ({"agent": "robot"}, "VOXQL_AGENT: input should be 'local', 'external'"),
        ({"agent_name": "two words"}, "VOXQL_AGENT_NAME: string should match pattern"),
        ({"grace_s": 0}, "VOXQL_GRACE_S: input should be greater than 0"),
        ({"worker_key": "short"}, "VOXQL_WORKER_KEY: needs at least 16 characters"),
        ({"points_per_minute": 11_999}, "VOXQL_POINTS_PER_MINUTE: expected 0 or at least 12000"),
        ({"public_url": "talk.example.org"}, "VOXQL_PUBLIC_URL: expected http://"),
        ({"public_url": "https://a.example/b?c"}, "VOXQL_PUBLIC_URL: expected a plain path"),
        ({"public_url": "https://a.example//b"}, "VOXQL_PUBLIC_URL: expected a plain path"),
        ({"public_url": "https://a.example/%2e"}, "VOXQL_PUBLIC_URL: expected a plain path"),
        ({"redis_url": "localhost:6379"}, "VOXQL_REDIS_URL: expected redis://"),
        ({"redis_url": "redis+sentinel://host"}, "VOXQL_REDIS_URL: expected redis://"),
        ({"redis_url": "redis+sentinel://host:x/service"}, "VOXQL_REDIS_URL: expected redis://"),
        ({"redis_url": "redis+sentinel://host/service/x"}, "VOXQL_REDIS_URL: expected redis://"),
        ({"redis_url": "redis+cluster://host,/0"}, "VOXQL_REDIS_URL: expected redis://"),
        ({"redis_url": "redis+cluster://host/1"}, "VOXQL_REDIS_URL: expected redis://"),
        (
            {"redis_url": "redis://localhost"},
            "VOXQL_REDIS_URL: is for several processes, and SQLite",
        ),
        (
            {"redis_url": "redis://localhost", "database_url": "postgres://localhost/voxql"},
            "VOXQL_AGENT=local: its sound meets in one process, and VOXQL_REDIS_URL is for several",
        ),
        ({"llm_model": "some-model"}, "VOXQL_LLM_BASE_URL: needed for a language model"),
        ({"agent": "livekit"}, "LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET: needed for"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    given: dict[str, Any], complaint: str
) -> None:
    """The message names the variable as the person wrote it, and what it expects."""
    with pytest.raises(settings.SettingsError) as refusal:
        settings.load(**given)

    assert str(refusal.value).startswith(complaint)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """One start reports every mistake."""
    with pytest.raises(settings.SettingsError) as refusal:
        settings.load(port="x", agent="y")

    assert [line.partition(":")[0] for line in str(refusal.value).splitlines()] == [
        "VOXQL_PORT",
        "VOXQL_AGENT",
    ]


def test_a_complaint_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """More people read logs than may know the keys."""
    monkeypatch.setenv("VOXQL_WORKER_KEY", "hunter2")

    with pytest.raises(settings.SettingsError) as refusal:
        settings.load()

    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in repr(settings.load(worker_key="hunter2hunter2hunter2"))


@pytest.mark.parametrize(
    ("url", "mind"),
    [
        ("http://localhost:11434/v1", "llama3.2 at localhost:11434"),
        ("https://api.example.org/v1", "llama3.2 at api.example.org"),
        ("https://user:hunter2@[::1]:99/v1?key=hunter2", "llama3.2 at [::1]:99"),
    ],
)
def test_what_answers_is_said_without_a_secret(url: str, mind: str) -> None:
    """The line that `voxql serve` prints about the model contains no credentials."""
    values = settings.load(llm_base_url=url, llm_model="llama3.2", llm_api_key="hunter2")

    assert values.mind() == mind
    assert settings.load().mind().startswith("built-in demo. Set VOXQL_LLM_BASE_URL")


def test_a_misspelt_name_is_reported_with_the_nearest_one() -> None:
    """A misspelt setting would otherwise be silently ignored."""
    environ = {"VOXQL_PROT": "1", "VOXQL_PORT": "1", "VOXQL_URL": "", "LIVEKIT_X": "", "HOME": ""}

    assert settings.misspelt(environ) == [
        "VOXQL_PROT is not a setting of VoxQL; did you mean VOXQL_PORT?"
    ]


def test_livekit_is_configured_by_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiveKit users have already set these variables."""
    monkeypatch.setenv("LIVEKIT_URL", "wss://livekit.example.org")
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    monkeypatch.setenv("LIVEKIT_API_SECRET", "a secret of more than thirty-two characters")

    values = settings.load(agent="livekit")

    assert values.livekit_url == "wss://livekit.example.org"


def test_a_secret_is_made_once_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    """The next start reads the same secret; a new one would invalidate every token."""
    values = settings.load(data_dir=tmp_path / "data")

    secret = values.signing_secret()

    assert len(secret) >= 43, "256 bits in base64"
    assert settings.load(data_dir=tmp_path / "data").signing_secret() == secret
    assert values.worker_secret() != secret
    assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    """Later processes read the first one's secret, and no temporary file is left."""
    path = tmp_path / "worker.key"

    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: settings.kept_secret(path), range(64)))

    assert secrets == {path.read_text().strip()}
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_was_given_makes_no_file(tmp_path: Path) -> None:
    """A worker on another machine has the key from its environment."""
    values = settings.load(data_dir=tmp_path, worker_key="0123456789abcdef")

    assert values.worker_secret() == "0123456789abcdef"
    assert list(tmp_path.iterdir()) == []


def test_an_emptied_key_file_is_refused(tmp_path: Path) -> None:
    """An empty key would let everybody in."""
    (tmp_path / "secret.key").write_text("\n")

    with pytest.raises(settings.SettingsError, match="holds no usable key"):
        settings.load(data_dir=tmp_path).signing_secret()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:password@host:6379/1",
        "rediss://host?ssl_ca_certs=/etc/ssl/redis.pem",
        "unix:///run/redis.sock",
        "redis+sentinel://one:26379,two,[::1]:26379/my-service",
        "rediss+sentinel://user:p%40ss@one,two/service/2?sentinel_password=",
        "redis+cluster://one:7000,two:7001",
        "rediss+cluster://:password@one,two/0?ssl_cert_reqs=none",
    ],
)
def test_every_form_of_a_redis_url_is_taken_by_the_settings_and_by_the_hub(url: str) -> None:
    """One server, Sentinels and clusters; nothing connects yet."""
    found = settings.load(redis_url=url, database_url="postgres://host/voxql", agent="external")

    assert RedisHub(found.redis_url).condition == "delayed"
    assert not RedisCounts(found.redis_url, "secret").is_reached
    assert "p%40ss" not in repr(found)


def test_a_refused_redis_url_is_not_repeated() -> None:
    """It may have a password."""
    with pytest.raises(settings.SettingsError) as refusal:
        settings.load(redis_url="redis+sentinel://user:the-password@host:x/service")

    assert "the-password" not in str(refusal.value)
