/** Searches one conversation: finds every line with any of the words, in order. */
import { type Api, failureOf } from "../../../shared/api/client.ts";
import type { Failure } from "../../../shared/api/failure.ts";
import { MatchesDocument, type MatchesQuery } from "../../../shared/api/generated/graphql.ts";
import { Store } from "../../../shared/store/store.ts";

export interface Match {
  /** The line's id. */
  readonly id: string;
  /** The line's text, with `<mark>` around matches. */
  readonly marked: string;
}

export interface Found {
  /** The searched words; blank means no search. */
  readonly search: string;
  /** The matches loaded so far; there may be more than one response holds. */
  readonly matches: readonly Match[];
  /** Matches in the whole conversation; null before the first response. */
  readonly total: number | null;
  /** Whether all matches are loaded. */
  readonly isComplete: boolean;
  readonly failure: Failure | null;
}

const NOTHING: Found = { search: "", matches: [], total: null, isComplete: false, failure: null };

export class Finding {
  readonly found = new Store<Found>(NOTHING);
  readonly #api: Api;
  readonly #id: string;
  /** Counts searches; responses to older ones are dropped. */
  #turn = 0;

  constructor(api: Api, id: string) {
    this.#api = api;
    this.#id = id;
  }

  /** Searches for these words, even for the same again: more may have been said since. */
  async search(search: string): Promise<void> {
    const turn = ++this.#turn;
    const before = this.found.value;
    // Matches of the same search stay until the response arrives.
    this.found.set(
      before.search === search ? { ...before, failure: null } : { ...NOTHING, search },
    );
    if (search.trim() === "") return;
    let matches: Match[] = [];
    let after: string | null = null;
    for (;;) {
      try {
        const answer: MatchesQuery = await this.#api.query(MatchesDocument, {
          id: this.#id,
          search,
          after,
        });
        const { session } = answer;
        if (turn !== this.#turn || !session) return;
        const { edges, pageInfo, totalCount } = session.utterances;
        matches = [
          ...matches,
          ...edges.map(({ node, marked }) => ({ id: node.id, marked: marked ?? "" })),
        ];
        const isComplete = !pageInfo.hasNextPage;
        if (isComplete || matches.length >= this.found.value.matches.length)
          this.found.set({ search, matches, total: totalCount, isComplete, failure: null });
        if (isComplete) return;
        after = pageInfo.endCursor ?? null;
      } catch (error) {
        if (turn === this.#turn) this.found.set({ ...this.found.value, failure: failureOf(error) });
        return;
      }
    }
  }

  stop(): void {
    this.#turn++;
  }
}

/** The index of a line among the matches; -1 if it is not one. */
export const placeOf = (found: Found, line: string | null): number =>
  found.matches.findIndex(({ id }) => id === line);

/** The match after or before a line; wraps around if all matches are loaded. */
export function beside(found: Found, line: string | null, step: 1 | -1): Match | null {
  const { matches, isComplete } = found;
  const at = placeOf(found, line);
  if (at < 0) return matches[0] ?? null;
  const next = matches[at + step];
  if (next !== undefined || !isComplete) return next ?? null;
  return matches.at(step === 1 ? 0 : -1) ?? null;
}
