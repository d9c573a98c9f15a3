"""Passwords and secrets, with argon2 at full cost."""

import asyncio
import re
import secrets
import threading
from collections.abc import Iterator

import pytest

from resolvers.accounts import credentials
from resolvers.refusals import RateLimited
from tests.processor import processor_time


async def test_a_password_is_kept_as_argon2() -> None:
    """Each hash has its own salt, and only the right password matches."""
    first, second = [await credentials.hash_of("correct horse") for _ in range(2)]
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert first != second
    assert await credentials.is_password("correct horse", first)
    assert not await credentials.is_password("correct  horse", first)


async def test_nobody_costs_as_much_as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password for an unknown e-mail is compared with a dummy hash of equal cost."""
    compared: list[str] = []
    verify = credentials._argon2.verify

    def watched(password: str, password_hash: str) -> bool:
        compared.append(password_hash)
        return verify(password, password_hash)

    monkeypatch.setattr(credentials._argon2, "verify", watched)
    credentials._nobodys.cache_clear()
    assert not await credentials.is_password("correct horse", None)
    real = await credentials.hash_of("correct horse")
    assert compared[0].rpartition("$")[0].rpartition("$")[0] == "$argon2id$v=19$m=65536,t=3,p=4"
    assert len(compared[0]) == len(real)


@pytest.mark.parametrize("number", [0, 1, 61, 62, 2**256 - 1])
def test_a_token_is_of_one_length(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The length is fixed, and each number has its own token."""
    monkeypatch.setattr(secrets, "randbits", lambda bits: number)
    secret = credentials.new_token_secret()
    assert re.fullmatch(r"vox_[0-9A-Za-z]{43}", secret)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert sum(digits.index(d) * 62**i for i, d in enumerate(secret[4:])) == number


def test_secrets_differ() -> None:
    """This holds for cookies and tokens; digests are SHA-256 in hexadecimal."""
    made = [credentials.new_login_secret() for _ in range(50)]
    made += [credentials.new_token_secret() for _ in range(50)]
    assert len({credentials.digest(secret) for secret in made}) == 100
    assert re.fullmatch(r"[0-9a-f]{64}", credentials.digest(made[0]))


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Block password hashing until the event is set."""
    going = threading.Event()

    def hashed(password: str) -> str:
        going.wait()
        return password

    monkeypatch.setattr(credentials._argon2, "hash", hashed)
    yield going
    going.set()


async def _wait_in_line(number: int) -> "list[asyncio.Task[str]]":
    tasks = [asyncio.create_task(credentials.hash_of(f"password {n}")) for n in range(number)]
    await asyncio.sleep(0)  # each task runs until it is in the queue
    return tasks


async def test_only_so_many_wait_to_have_a_password_hashed(held_up: threading.Event) -> None:
    """When the queue is full, every use is refused at once; later there is room again."""
    tasks = await _wait_in_line(credentials.IN_LINE)

    with pytest.raises(RateLimited, match="Try again in a few seconds"):
        await credentials.hash_of("one too many")
    with pytest.raises(RateLimited):
        await credentials.is_password("one too many", None)
    with pytest.raises(RateLimited):
        await credentials.is_guessable("one too many")
    with pytest.raises(RateLimited):
        credentials.check_line()

    held_up.set()
    assert len(set(await asyncio.gather(*tasks))) == credentials.IN_LINE
    credentials.check_line()
    assert await credentials.hash_of("room again") == "room again"


async def test_who_goes_away_leaves_the_line(held_up: threading.Event) -> None:
    """A cancelled request frees its place in the queue."""
    tasks = await _wait_in_line(credentials.IN_LINE)

    for task in tasks[2:]:
        task.cancel()
    await asyncio.wait(tasks[2:])

    last = await _wait_in_line(credentials.IN_LINE - 2)
    held_up.set()
    await asyncio.gather(*tasks[:2], *last)


@pytest.mark.parametrize(
    "password",
    ["4@8({<63901!|17$5+2%" * 12, "p4$$w0rd1!|7+6({<2%" * 13, "19870213" * 32, "ab12" * 64],
)
def test_judging_a_password_takes_a_bounded_time(password: str) -> None:
    """For 256 such characters, zxcvbn alone would take a minute and a half."""
    credentials._is_guessable("its word lists are loaded", ())
    with processor_time() as spent:
        credentials._is_guessable(password, ())
    assert spent.seconds < 1.0
