/** All of a person's API tokens: one that is not shown could not be revoked. */
import type { Api } from "../../../shared/api/client.ts";
import { ApiTokensDocument, type ApiTokensQuery } from "../../../shared/api/generated/graphql.ts";
import { everything } from "../../../shared/api/pages.ts";

export type Token = NonNullable<ApiTokensQuery["viewer"]>["apiTokens"]["nodes"][number];

const NONE = { nodes: [], pageInfo: { hasNextPage: false } };

/** @throws Failed: when a page can't be loaded. */
export function allTokens(api: Api): Promise<Token[]> {
  return everything<Token>(async (after) => {
    const { viewer } = await api.query(ApiTokensDocument, { after });
    return viewer?.apiTokens ?? NONE;
  });
}
