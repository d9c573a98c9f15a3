/** The list of conversations: pages from the server, kept up to date by a stream. */
import type { Api } from "../../../shared/api/client.ts";
import { failureOf } from "../../../shared/api/client.ts";
import type { Failure } from "../../../shared/api/failure.ts";
import {
  DeleteSessionDocument,
  HistoryDocument,
  type HistoryQuery,
  RenameSessionDocument,
  type SessionFieldsFragment,
  SessionUpdatesDocument,
} from "../../../shared/api/generated/graphql.ts";
import { backoffMs } from "../../conversation/backoff.ts";

export interface Entry {
  session: SessionFieldsFragment;
  /** An excerpt with `<mark>` around the searched words. */
  snippet: string | null;
  /** The id of the line with the searched words. */
  line: string | null;
}

export interface HistoryState {
  search: string;
  /** The search that produced `entries`: an older one while `search` is pending, null before the
   * first response. */
  shown: string | null;
  entries: readonly Entry[];
  hasMore: boolean;
  isLoading: boolean;
  /** Why the latest request failed. */
  failure: Failure | null;
}

const UNSEARCHED = { snippet: null, line: null };
const PAGE = 30;
const NOTHING: HistoryState = {
  search: "",
  shown: null,
  entries: [],
  hasMore: false,
  isLoading: true,
  failure: null,
};

type Page = NonNullable<HistoryQuery["sessionHistory"]>;

export class History {
  #state: HistoryState = NOTHING;
  /** The state without hidden entries. */
  #shown: HistoryState = NOTHING;
  readonly #api: Api;
  readonly #onSignedOut: () => void;
  readonly #watchers = new Set<() => void>();
  #cursor: string | null = null;
  /** Counts requests; responses to older ones are dropped. */
  #asked = 0;
  #isAsking = false;
  #hasFailedAfter: string | null = null;
  #stop: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #losses = 0;
  #isRevoked = false;
  readonly #gone = new Set<string>();
  /** Sessions whose deletion can still be undone. */
  readonly #hidden = new Set<string>();
  /** The newest known version of every session, listed or not. */
  readonly #known = new Map<string, SessionFieldsFragment>();
  /** Sessions that changed while the first page was loading, which may not contain the change. */
  readonly #meanwhile = new Set<string>();

  /** Counts subscriptions to updates: what was loaded before the latest one may be stale. */
  follows = 0;

  /** `onSignedOut` is called when the login may have ended. */
  constructor(api: Api, onSignedOut: () => void = () => {}) {
    this.#api = api;
    this.#onSignedOut = onSignedOut;
  }

  get state(): HistoryState {
    return this.#shown;
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  /** Whether a session is deleted or hidden. */
  isGone(id: string): boolean {
    return this.#gone.has(id) || this.#hidden.has(id);
  }

  /** Whether a session is deleted. */
  isDeleted(id: string): boolean {
    return this.#gone.has(id);
  }

  /** Hides a session as if it were deleted, or shows it again where it was. */
  hide(id: string, isHidden = true): void {
    if (isHidden) this.#hidden.add(id);
    else this.#hidden.delete(id);
    this.#set(this.#state);
  }

  /** The newest known version of a session, listed or not. */
  known(id: string): SessionFieldsFragment | undefined {
    return this.#known.get(id);
  }

  /** Loads the list and keeps it up to date until `stop`. */
  start(): void {
    this.stop();
    this.#known.clear();
    this.#gone.clear();
    this.#hidden.clear();
    this.#set(NOTHING);
    this.#follow();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stop?.();
    this.#stop = null;
    this.#asked++;
    this.#isAsking = false;
    this.#isRevoked = false;
  }

  search(search: string): void {
    if (search === this.#state.search) return;
    this.#set({ ...this.#state, search, failure: null });
    void this.reload();
  }

  /** Reloads the first page; entries stay until the response arrives. */
  async reload(): Promise<void> {
    this.#meanwhile.clear();
    await this.#load(null);
  }

  async more(): Promise<void> {
    if (this.#state.isLoading || !this.#state.hasMore) return;
    await this.#load(this.#cursor);
  }

  /** Repeats the failed request. */
  async retry(): Promise<void> {
    if (this.#state.isLoading) return;
    await (this.#hasFailedAfter === null ? this.reload() : this.more());
  }

  async rename(id: string, title: string): Promise<void> {
    const answer = await this.#api.mutate(RenameSessionDocument, { id, title });
    if (answer.renameSession) this.take(answer.renameSession.session);
  }

  async remove(id: string): Promise<void> {
    try {
      await this.#api.mutate(DeleteSessionDocument, { id });
    } catch (error) {
      // Somebody else has deleted it already.
      if (failureOf(error).kind !== "not-found") throw error;
    }
    this.#drop(id);
  }

  /** Deletes a session while the page unloads; whether that succeeds stays unknown. */
  removeLeaving(id: string): void {
    this.#api.leave(DeleteSessionDocument, { id });
  }

  /** Inserts or updates a session; the newer version wins. */
  take(session: SessionFieldsFragment): void {
    const { id } = session;
    if (this.#gone.has(id) || this.#learn(session) !== session) return;
    this.#meanwhile.add(id);
    const { entries, search, shown } = this.#state;
    const isListed = entries.some((entry) => entry.session.id === id);
    if (!isListed && session.utteranceCount > 0 && search === "" && shown === "")
      return this.#insert(session);
    const next = entries.map((entry) => (entry.session.id === id ? { ...entry, session } : entry));
    this.#set({ ...this.#state, entries: next });
  }

  /** Returns the newest version of a session, which may have been known before. */
  #learn(session: SessionFieldsFragment): SessionFieldsFragment {
    const known = this.#known.get(session.id);
    if (known && known.version > session.version) return known;
    this.#known.set(session.id, session);
    return session;
  }

  #insert(session: SessionFieldsFragment): void {
    const { entries, hasMore } = this.#state;
    const at = entries.findIndex((entry) => isNewer(session, entry.session));
    // Older than all loaded entries: it comes with its page.
    const isBelow = at < 0 && hasMore;
    const next = [...entries];
    if (!isBelow) next.splice(at < 0 ? entries.length : at, 0, { session, ...UNSEARCHED });
    this.#set({ ...this.#state, entries: next });
  }

  #drop(id: string): void {
    this.#gone.add(id);
    const entries = this.#state.entries.filter((entry) => entry.session.id !== id);
    this.#set({ ...this.#state, entries });
  }

  async #load(after: string | null): Promise<void> {
    const asked = ++this.#asked;
    this.#isAsking = true;
    this.#set({ ...this.#state, isLoading: true });
    const { search } = this.#state;
    const filter = search.trim() ? { search } : null;
    try {
      const answer = await this.#api.query(HistoryDocument, { first: PAGE, after, filter });
      const page = answer.sessionHistory;
      if (asked !== this.#asked || !page) return;
      this.#isAsking = false;
      if (after === null) this.#begin(page);
      else this.#append(page);
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#isAsking = false;
      this.#hasFailedAfter = after;
      const failure = failureOf(error);
      this.#set({ ...this.#state, isLoading: false, failure });
      if (failure.kind === "signed-out") this.#onSignedOut();
    }
  }

  /** Takes the first page: it replaces the entries within its range; entries below it stay. */
  #begin(page: Page): void {
    const { search, shown, entries: held } = this.#state;
    const isSame = search === shown;
    const { endCursor, hasNextPage } = page.pageInfo;
    const last = page.edges.at(-1)?.node;
    const isBelow = ({ session }: Entry) =>
      hasNextPage && last !== undefined && isNewer(last, session);
    const within = held.filter((entry) => !isBelow(entry));
    if (isSame && search === "") this.#miss(within, page);
    // Unless the page's last entry was held, there may be a gap below the page.
    const isJoined = isSame && held.some(({ session }) => session.id === last?.id);
    const below = isJoined ? held.filter(isBelow) : [];
    const entries = [...this.#found(page), ...below];
    if (below.length > 0) this.#show(entries, this.#cursor, this.#state.hasMore);
    else this.#show(entries, endCursor ?? null, hasNextPage);
    for (const id of this.#meanwhile) {
      const session = this.#known.get(id);
      if (session) this.take(session);
    }
    this.#meanwhile.clear();
  }

  /** Marks sessions that are missing from a page as deleted: no event reported that. */
  #miss(held: readonly Entry[], page: Page): void {
    const found = new Set(page.edges.map(({ node }) => node.id));
    for (const { session } of held)
      if (!found.has(session.id) && !this.#meanwhile.has(session.id)) this.#gone.add(session.id);
  }

  #append(page: Page): void {
    const { entries } = this.#state;
    const held = new Set(entries.map((entry) => entry.session.id));
    const unknown = this.#found(page).filter((entry) => !held.has(entry.session.id));
    const { endCursor, hasNextPage } = page.pageInfo;
    this.#show([...entries, ...unknown], endCursor ?? null, hasNextPage);
  }

  #found(page: Page): Entry[] {
    return page.edges
      .filter(({ node }) => !this.#gone.has(node.id))
      .map(({ node, match }) => ({
        session: this.#learn(node),
        snippet: match?.snippet ?? null,
        line: match?.utterance.id ?? null,
      }));
  }

  #show(entries: readonly Entry[], cursor: string | null, hasMore: boolean): void {
    this.#cursor = cursor;
    const { search } = this.#state;
    this.#set({ search, shown: search, entries, hasMore, isLoading: false, failure: null });
  }

  /** Subscribes to updates; loads the list after the first event, so that no change is missed. */
  #follow(): void {
    let isFirst = true;
    let isOut = false;
    this.#stop = this.#api.stream(
      SessionUpdatesDocument,
      { id: null },
      {
        next: ({ sessionUpdates: { session, deletedSessionId, end } }) => {
          // The browser may have a new login already: reopening the stream shows that.
          if (end?.reason === "ACCESS_REVOKED") {
            isOut = isFirst;
            this.#isRevoked = true;
            return;
          }
          this.#losses = 0;
          if (isFirst) this.#isFollowed();
          isFirst = false;
          if (session) this.take(session);
          if (deletedSessionId) this.#drop(deletedSessionId);
        },
        done: (failure) => {
          if (isFirst && this.#state.isLoading && !this.#isAsking) void this.reload();
          this.#timer = setTimeout(() => this.#follow(), backoffMs(++this.#losses));
          if (isOut || failure?.kind === "signed-out") this.#onSignedOut();
        },
      },
    );
  }

  #isFollowed(): void {
    this.follows++;
    void this.reload();
    if (!this.#isRevoked) return;
    // Another login replaced the old one: it may be another person's.
    this.#isRevoked = false;
    this.#onSignedOut();
  }

  #set(state: HistoryState): void {
    this.#state = state;
    const entries = state.entries.filter(({ session }) => !this.#hidden.has(session.id));
    this.#shown = this.#hidden.size === 0 ? state : { ...state, entries };
    for (const watcher of this.#watchers) watcher();
  }
}

function isNewer(a: SessionFieldsFragment, b: SessionFieldsFragment): boolean {
  return a.createdAt === b.createdAt ? a.id > b.id : a.createdAt > b.createdAt;
}
