"""Creating and revoking API tokens."""

from datetime import datetime

import strawberry

from resolvers.accounts import api_tokens
from schema.context import Info
from schema.types.enums import TokenScope
from schema.types.node import Given, given, the_result
from schema.types.user import ApiToken


@strawberry.input(description="The token to make.")
class CreateApiTokenInput:
    name: str = strawberry.field(description="What you call it; 1 to 200 characters.")
    scopes: list[TokenScope] = strawberry.field(description="What it may be used for; one or more.")
    expires_at: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Leave it out for one that never expires."
    )


@strawberry.type(description="The token that was made.")
class CreateApiTokenPayload:
    api_token: ApiToken = strawberry.field(description="The token, without its secret.")
    secret: str = strawberry.field(description="Shown once.")


@strawberry.input(description="Which token to revoke.")
class RevokeApiTokenInput:
    id: strawberry.ID = strawberry.field(description="The token's id, `tok_…`.")


@strawberry.type(description="What no longer works.")
class RevokeApiTokenPayload:
    revoked_api_token_id: strawberry.ID = strawberry.field(
        resolver=the_result, description="The id of the token that was revoked."
    )


@strawberry.type
class ApiTokenMutations:
    @strawberry.mutation(
        graphql_type=CreateApiTokenPayload | None,
        description="Make a secret for a program, which sends it as `Authorization: Bearer vox_…`. "
        "A token can't make tokens: FORBIDDEN.",
    )
    async def create_api_token(
        self, info: Info, input: Given[CreateApiTokenInput]
    ) -> api_tokens.CreatedToken:
        return await api_tokens.create_api_token(
            info.context.backend.clock,
            info.context.viewer,
            name=input.name,
            scopes=input.scopes,
            expires_at=given(input.expires_at),
        )

    @strawberry.mutation(
        graphql_type=RevokeApiTokenPayload | None,
        description="Revoke a token; its streams end within a second.",
    )
    async def revoke_api_token(self, info: Info, input: Given[RevokeApiTokenInput]) -> str:
        return await api_tokens.revoke_api_token(
            info.context.backend.transactions, info.context.viewer, input.id
        )
