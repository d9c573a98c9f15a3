/** Tokens for programs, and what is copied. */
import { describe, expect, it, vi } from "vitest";

import type { Api } from "../src/api/client.ts";
import { allTokens } from "../src/pages/settings/all-tokens.ts";

describe("tokens for programs", () => {
  it("are all there, however many pages the server makes of them", async () => {
    const query = vi.fn(async (_: unknown, { after }: { after: string | null }) => {
      const begin = Number(after ?? 0);
      const nodes = Array.from({ length: 60 }, (_each, index) => ({ id: `tok_${begin + index}` }));
      const pageInfo = { hasNextPage: begin < 120, endCursor: String(begin + 60) };
      return { viewer: { id: "usr_1", apiTokens: { pageInfo, nodes } } };
    });

    const tokens = await allTokens({ query } as unknown as Api);

    expect(tokens.map(({ id }) => id)).toEqual(Array.from({ length: 180 }, (_, i) => `tok_${i}`));
    expect(query).toHaveBeenCalledTimes(3);
  });

  it("are none of somebody who is not signed in", async () => {
    const query = async () => ({ viewer: null });

    expect(await allTokens({ query } as unknown as Api)).toEqual([]);
  });
});
