"""Guessing passwords is slowed down and harms nobody else."""

import pytest

from resolvers.accounts import authentication, credentials
from resolvers.backend import Backend
from resolvers.refusals import RateLimited, Unauthenticated
from tests.resolvers.accounts.people import EMAIL, PASSWORD, new_ada, new_guest
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused

pytestmark = pytest.mark.usefixtures("quick_passwords")


async def test_guessing_a_password_is_slowed_down(backend: Backend, clock: Clock) -> None:
    """After ten tries even the right password must wait, and the message says how long."""
    await new_ada(backend)
    for _ in range(10):
        async with refused(Unauthenticated):
            await backend.authentication.sign_in(None, email=EMAIL, password="wrong horse")
    async with refused(RateLimited, says="Try again in 5 minutes."):
        await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    clock.pass_by(minutes=4, seconds=59)
    async with refused(RateLimited, says="Try again in 1 second."):
        await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    clock.pass_by(seconds=1)
    await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)


async def test_wrong_passwords_from_elsewhere_lock_nobody_out(
    backend: Backend, quick_passwords: None
) -> None:
    """Another address may still sign in; after a hundred failures, a known browser may."""
    await new_ada(backend)
    known = await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    assert known.browser is not None
    browser = backend.tokens.read_browser(known.browser[0])
    for number in range(100):
        if number == 10:
            await backend.authentication.sign_in(
                None, email=EMAIL, password=PASSWORD, address="192.0.2.99"
            )
        async with refused(Unauthenticated):
            await backend.authentication.sign_in(
                None, email=EMAIL, password="wrong horse", address=f"192.0.2.{number // 9}"
            )
    async with refused(RateLimited):
        await backend.authentication.sign_in(
            None, email=EMAIL, password=PASSWORD, address="192.0.2.98"
        )

    await backend.authentication.sign_in(
        None, email=EMAIL, password=PASSWORD, address="192.0.2.98", browser=browser
    )


async def test_a_known_browser_may_not_guess_either(
    backend: Backend, quick_passwords: None
) -> None:
    """A known browser has ten tries, and is not known for another account."""
    await new_ada(backend)
    await authentication.create_user(backend.clock, "bob@example.com", PASSWORD)
    known = await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    assert known.browser is not None
    browser = backend.tokens.read_browser(known.browser[0])
    for email in (EMAIL, "bob@example.com"):
        for _ in range(10):
            async with refused(Unauthenticated):
                await backend.authentication.sign_in(
                    None, email=email, password="wrong horse", browser=browser
                )
        async with refused(RateLimited):
            await backend.authentication.sign_in(
                None, email=email, password=PASSWORD, browser=browser
            )


async def test_a_guests_browser_is_not_known(backend: Backend) -> None:
    """A guest has no password to guess; an invalid browser token is ignored."""
    guest = await backend.authentication.sign_in_as_guest(None)
    assert guest.browser is None
    for token in ("", "x", backend.tokens.bridge("ses_x", 1)):
        assert backend.tokens.read_browser(token) is None


async def test_who_knows_the_password_is_never_slowed_down(backend: Backend) -> None:
    """Correct passwords do not count as tries."""
    await new_ada(backend)
    for _ in range(12):
        await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)


async def test_a_crowd_costs_nobody_a_try(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request refused because the hashing queue is full does not count as a try."""
    await new_ada(backend)
    with monkeypatch.context() as patch:
        patch.setattr(credentials, "IN_LINE", 0)
        for _ in range(200):
            async with refused(RateLimited, says="a few seconds"):
                await backend.authentication.sign_in(
                    None, email=EMAIL, password=PASSWORD, address="192.0.2.1"
                )
            async with refused(RateLimited, says="a few seconds"):
                await backend.authentication.sign_up(
                    None, email="b@b.example", password=PASSWORD, address="192.0.2.1"
                )
    await backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD, address="192.0.2.1")
    await backend.authentication.sign_up(
        None, email="b@b.example", password=PASSWORD, address="192.0.2.1"
    )


async def test_an_address_is_slowed_down_whomever_it_tries(backend: Backend) -> None:
    """Trying one password on a hundred e-mails counts as guessing too."""
    for number in range(100):
        async with refused(Unauthenticated):
            await backend.authentication.sign_in(
                None, email=f"{number}@b.example", password=PASSWORD, address="192.0.2.1"
            )
    async with refused(RateLimited):
        await backend.authentication.sign_in(
            None, email="last@b.example", password=PASSWORD, address="192.0.2.1"
        )
    async with refused(Unauthenticated):
        await backend.authentication.sign_in(
            None, email="last@b.example", password=PASSWORD, address="192.0.2.2"
        )


async def test_an_address_makes_so_many_guests_and_accounts(backend: Backend) -> None:
    """A viewer who is signed in already creates none, and is not counted."""
    rates = backend.limiter.rates
    guest = await new_guest(backend)
    for _ in range(rates.guest_per_address.count):
        await backend.authentication.sign_in_as_guest(None, address="192.0.2.1")
    async with refused(RateLimited):
        await backend.authentication.sign_in_as_guest(None, address="192.0.2.1")
    await backend.authentication.sign_in_as_guest(guest, address="192.0.2.1")
    for number in range(rates.sign_up_per_address.count):
        await backend.authentication.sign_up(
            None, email=f"{number}@b.example", password=PASSWORD, address="192.0.2.1"
        )
    async with refused(RateLimited):
        await backend.authentication.sign_up(
            None, email="last@b.example", password=PASSWORD, address="192.0.2.1"
        )
