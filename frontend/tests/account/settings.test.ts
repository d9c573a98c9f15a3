/** API tokens, and copying to the clipboard. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { allTokens } from "../../src/features/account/settings/all-tokens.ts";
import type { Api } from "../../src/shared/api/client.ts";
import { copied } from "../../src/shared/ui/copy.ts";

afterEach(() => vi.unstubAllGlobals());

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

describe("copying", () => {
  /** A document whose `execCommand("copy")` works or not. */
  class OldDocument extends EventTarget {
    readonly held: string[] = [];
    readonly #isAllowed: boolean;

    constructor(isAllowed: boolean) {
      super();
      this.#isAllowed = isAllowed;
    }

    execCommand(command: string): boolean {
      const clipboardData = { setData: (_: string, text: string) => this.held.push(text) };
      if (this.#isAllowed) this.dispatchEvent(Object.assign(new Event(command), { clipboardData }));
      return this.#isAllowed;
    }
  }
  function browser(clipboard: object | undefined, isAllowed: boolean): OldDocument {
    const old = new OldDocument(isAllowed);
    vi.stubGlobal("navigator", clipboard ? { clipboard } : {});
    vi.stubGlobal("document", old);
    return old;
  }
  const refusing = {
    async writeText() {
      throw new DOMException("", "NotAllowedError");
    },
  };

  it("takes the browser's clipboard where there is one", async () => {
    const writeText = vi.fn(async () => {});
    const old = browser({ writeText }, true);

    expect(await copied("secret")).toBe(true);

    expect(writeText).toHaveBeenCalledExactlyOnceWith("secret");
    expect(old.held).toEqual([]);
  });

  it.each([undefined, refusing])("takes the old way where there is none: %s", async (clipboard) => {
    const old = browser(clipboard, true);

    expect(await copied("secret")).toBe(true);

    expect(old.held).toEqual(["secret"]);
    old.execCommand("copy");
    expect(old.held, "only once").toEqual(["secret"]);
  });

  it.each([undefined, refusing])("says that it did not work: %s", async (clipboard) => {
    browser(clipboard, false);

    expect(await copied("secret")).toBe(false);
  });
});
