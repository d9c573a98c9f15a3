"""All mutations. Root fields are nullable, so that a refusal never erases its siblings."""

import strawberry

from schema.mutations.accounts import AccountMutations
from schema.mutations.api_tokens import ApiTokenMutations
from schema.mutations.chats import ChatMutations
from schema.mutations.saving import SavingMutations
from schema.mutations.sessions import SessionMutations


@strawberry.type(description="Everything that can be done.")
class Mutation(
    ApiTokenMutations, AccountMutations, SessionMutations, SavingMutations, ChatMutations
):
    pass
