"""Passwords and secrets, with argon2 doing all of its work."""

import re
import secrets

import pytest

from resolvers import credentials


async def test_a_password_is_kept_as_argon2() -> None:
    """With a salt of its own each time; only the right one fits."""
    first, second = [await credentials.hash_of("correct horse") for _ in range(2)]
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert first != second
    assert await credentials.is_password("correct horse", first)
    assert not await credentials.is_password("correct  horse", first)


async def test_nobody_costs_as_much_as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown e-mail's password is compared too, with a hash of the same price."""
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
    """Whatever the number, and each number has its own."""
    monkeypatch.setattr(secrets, "randbits", lambda bits: number)
    secret = credentials.new_token_secret()
    assert re.fullmatch(r"vox_[0-9A-Za-z]{43}", secret)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert sum(digits.index(d) * 62**i for i, d in enumerate(secret[4:])) == number


def test_secrets_differ() -> None:
    """Cookies and tokens alike; their digests are SHA-256 in hexadecimal."""
    made = [credentials.new_login_secret() for _ in range(50)]
    made += [credentials.new_token_secret() for _ in range(50)]
    assert len({credentials.digest(secret) for secret in made}) == 100
    assert re.fullmatch(r"[0-9a-f]{64}", credentials.digest(made[0]))
