/** The list of conversations: pages from the server, kept up to date by what happens. */
import type { Api } from "../api/client.ts";
import { failureOf } from "../api/client.ts";
import type { Failure } from "../api/failure.ts";
import {
  DeleteSessionDocument,
  HistoryDocument,
  RenameSessionDocument,
  type SessionFieldsFragment,
  SessionUpdatesDocument,
} from "../api/generated/graphql.ts";
import { backoffMs } from "../conversation/session.ts";

export interface Entry {
  session: SessionFieldsFragment;
  /** Where the searched words are, with `<mark>` around them. */
  snippet: string | null;
}

export interface HistoryState {
  search: string;
  entries: readonly Entry[];
  hasMore: boolean;
  isLoading: boolean;
  failure: Failure | null;
}

const PAGE = 30;
const NOTHING: HistoryState = {
  search: "",
  entries: [],
  hasMore: false,
  isLoading: true,
  failure: null,
};

export class History {
  #state: HistoryState = NOTHING;
  readonly #api: Api;
  readonly #watchers = new Set<() => void>();
  #cursor: string | null = null;
  /** Counts searches: the answer to an older one is dropped. */
  #asked = 0;
  #stop: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #losses = 0;
  readonly #gone = new Set<string>();

  constructor(api: Api) {
    this.#api = api;
  }

  get state(): HistoryState {
    return this.#state;
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  /** Loads the list and follows it, until `stop`. */
  start(): void {
    this.stop();
    this.#set(NOTHING);
    this.#follow();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stop?.();
    this.#stop = null;
    this.#asked++;
  }

  search(search: string): void {
    if (search === this.#state.search) return;
    this.#set({ ...this.#state, search, isLoading: true });
    void this.reload();
  }

  /** Reads the first page again; what is shown stays until the answer is there. */
  async reload(): Promise<void> {
    const asked = ++this.#asked;
    await this.#load(asked, null);
  }

  async more(): Promise<void> {
    if (this.#state.isLoading || !this.#state.hasMore) return;
    this.#set({ ...this.#state, isLoading: true });
    await this.#load(this.#asked, this.#cursor);
  }

  async rename(id: string, title: string): Promise<void> {
    const answer = await this.#api.mutate(RenameSessionDocument, { id, title });
    if (answer.renameSession) this.take(answer.renameSession.session);
  }

  async remove(id: string): Promise<void> {
    await this.#api.mutate(DeleteSessionDocument, { id });
    this.#drop(id);
  }

  /** Puts a session where it belongs; the newer version of two wins. */
  take(session: SessionFieldsFragment): void {
    if (this.#gone.has(session.id)) return;
    const { entries, search } = this.#state;
    const index = entries.findIndex((entry) => entry.session.id === session.id);
    const held = entries[index];
    if (held) {
      if (session.version < held.session.version) return;
      const next = [...entries];
      next[index] = { ...held, session };
      this.#set({ ...this.#state, entries: next });
    } else if (session.utteranceCount > 0 && search === "") {
      this.#insert(session);
    }
  }

  #insert(session: SessionFieldsFragment): void {
    const { entries, hasMore } = this.#state;
    const at = entries.findIndex((entry) => isNewer(session, entry.session));
    // Older than everything that is shown: it comes with its page.
    if (at < 0 && hasMore) return;
    const next = [...entries];
    next.splice(at < 0 ? entries.length : at, 0, { session, snippet: null });
    this.#set({ ...this.#state, entries: next });
  }

  #drop(id: string): void {
    this.#gone.add(id);
    const entries = this.#state.entries.filter((entry) => entry.session.id !== id);
    this.#set({ ...this.#state, entries });
  }

  async #load(asked: number, after: string | null): Promise<void> {
    const { search } = this.#state;
    const filter = search.trim() ? { search } : null;
    try {
      const answer = await this.#api.query(HistoryDocument, { first: PAGE, after, filter });
      const page = answer.sessionHistory;
      if (asked !== this.#asked || !page) return;
      this.#cursor = page.pageInfo.endCursor ?? null;
      const found = page.edges
        .filter(({ node }) => !this.#gone.has(node.id))
        .map(({ node, match }) => ({ session: node, snippet: match?.snippet ?? null }));
      const entries = after === null ? found : [...this.#state.entries, ...unknown(found, this)];
      const hasMore = page.pageInfo.hasNextPage;
      this.#set({ ...this.#state, entries, hasMore, isLoading: false, failure: null });
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#set({ ...this.#state, isLoading: false, failure: failureOf(error) });
    }
  }

  /** The first event says that the stream is registered: what is read then has no gap. */
  #follow(): void {
    let isFirst = true;
    this.#stop = this.#api.stream(
      SessionUpdatesDocument,
      { id: null },
      {
        next: ({ sessionUpdates: { session, deletedSessionId } }) => {
          this.#losses = 0;
          if (isFirst) void this.reload();
          isFirst = false;
          if (session) this.take(session);
          if (deletedSessionId) this.#drop(deletedSessionId);
        },
        done: (failure) => {
          if (failure?.kind === "signed-out") return;
          if (isFirst && this.#state.isLoading) void this.reload();
          this.#timer = setTimeout(() => this.#follow(), backoffMs(++this.#losses));
        },
      },
    );
  }

  #set(state: HistoryState): void {
    this.#state = state;
    for (const watcher of this.#watchers) watcher();
  }
}

function unknown(found: Entry[], history: History): Entry[] {
  const known = new Set(history.state.entries.map((entry) => entry.session.id));
  return found.filter((entry) => !known.has(entry.session.id));
}

function isNewer(a: SessionFieldsFragment, b: SessionFieldsFragment): boolean {
  return a.createdAt === b.createdAt ? a.id > b.id : a.createdAt > b.createdAt;
}

/** The parts of a snippet, of which every second one is marked. */
export function marked(snippet: string): string[] {
  return snippet.split(/<\/?mark>/).map(plain);
}

const ENTITIES: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

function plain(html: string): string {
  return html.replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity] ?? entity);
}
