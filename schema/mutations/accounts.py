"""Signing up, in and out. They set or clear the login cookie, which needs HTTP."""

import strawberry

from resolvers.accounts import authentication
from resolvers.accounts.login import NewLogin
from schema.context import Info
from schema.types.node import Given
from schema.types.user import User


@strawberry.input(description="The account to make; a guest who signs up keeps everything.")
class SignUpInput:
    email: str = strawberry.field(
        description="An e-mail address of at most 254 characters; international ones, too."
    )
    password: str = strawberry.field(
        description="8 to 256 characters. One that is easy to guess is refused."
    )


@strawberry.input(description="The account to sign in to.")
class SignInInput:
    email: str = strawberry.field(description="The account's address.")
    password: str = strawberry.field(description="The account's password.")
    claim_guest_sessions: bool = strawberry.field(
        default=False, description="Move the current guest's conversations to this account."
    )


def _user_of(root: strawberry.Parent[NewLogin]) -> User:
    # Strawberry resolves the fields of User from the model, as everywhere.
    return root.user  # type: ignore[return-value]


@strawberry.type(description="Who is signed in now.")
class AuthPayload:
    viewer: User = strawberry.field(resolver=_user_of, description="Who is signed in now.")


@strawberry.type(description="Whether there was a login to end.")
class SignOutPayload:
    is_signed_out: bool = strawberry.field(description="False where nobody was signed in.")


@strawberry.type
class AccountMutations:
    @strawberry.mutation(
        graphql_type=AuthPayload | None,
        description="Make an account. A guest's conversations stay. A taken e-mail is a CONFLICT.",
    )
    async def sign_up(self, info: Info, input: Given[SignUpInput]) -> NewLogin:
        viewer = info.context.viewer_signing_in()
        return await info.context.enter(
            await info.context.backend.authentication.sign_up(
                viewer,
                email=input.email,
                password=input.password,
                address=info.context.request.address,
            )
        )

    @strawberry.mutation(graphql_type=AuthPayload | None, description="Sign in with a password.")
    async def sign_in(self, info: Info, input: Given[SignInInput]) -> NewLogin:
        viewer = info.context.viewer_signing_in()
        return await info.context.enter(
            await info.context.backend.authentication.sign_in(
                viewer,
                email=input.email,
                password=input.password,
                claim_guest_sessions=input.claim_guest_sessions,
                address=info.context.request.address,
                browser=info.context.request.browser,
            )
        )

    @strawberry.mutation(
        graphql_type=AuthPayload | None,
        description="Begin without an account; signing up later keeps everything.",
    )
    async def sign_in_as_guest(self, info: Info) -> NewLogin:
        viewer = info.context.viewer_signing_in()
        return await info.context.enter(
            await info.context.backend.authentication.sign_in_as_guest(
                viewer, address=info.context.request.address
            )
        )

    @strawberry.mutation(
        graphql_type=SignOutPayload | None,
        description="End this login; its streams end within a second.",
    )
    async def sign_out(self, info: Info) -> SignOutPayload:
        is_signed_out = await authentication.sign_out(
            info.context.backend.transactions, info.context.viewer
        )
        info.context.leave()
        return SignOutPayload(is_signed_out=is_signed_out)
