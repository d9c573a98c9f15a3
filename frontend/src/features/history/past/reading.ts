/** Loads a past conversation in parts: its end, or the lines around one. Loaded lines stay if a
 * later request fails, unless the conversation is deleted or access to it is lost. */
import { type Api, failureOf } from "../../../shared/api/client.ts";
import type { Failure } from "../../../shared/api/failure.ts";
import {
  AroundDocument,
  LineDocument,
  PastDocument,
  SessionDocument,
  type UtterancePageFragment,
} from "../../../shared/api/generated/graphql.ts";
import { Store } from "../../../shared/store/store.ts";
import { isOver, type Session } from "../../conversation/state.ts";
import type { Utterance } from "../../conversation/transcript.ts";

/** Reload interval while the agent still uploads the last words. */
export const LAST_WORDS_MS = 1500;
/** Lines per request, the server's maximum. */
const PAGE = 500;

/** Consecutive lines of a conversation. */
export interface Past {
  readonly session: Session;
  readonly utterances: readonly Utterance[];
  /** Cursor for the lines before; null if there are none. */
  readonly earlier: string | null;
  /** Cursor for the lines after; null if there are none. */
  readonly later: string | null;
}

export type Way = "earlier" | "later";

export interface Read {
  readonly past: Past | null;
  /** Why nothing can be shown. */
  readonly failure: Failure | null;
  /** Which direction failed to load, and why. */
  readonly stuck: { readonly way: Way; readonly failure: Failure } | null;
}

export interface ReadingOptions {
  /** The id of the line to start at; without one, the end of the conversation. */
  at?: string | null;
  /** Uploads what an ended conversation lacks; returns whether there was anything. */
  complete(id: string): Promise<boolean>;
  /** Called if the conversation is still running. */
  goesOn(session: Session): unknown;
}

/** Failures after which this person may not read the loaded lines any more. */
const REVOKED = new Set(["not-found", "forbidden"]);

export class Reading {
  readonly read = new Store<Read>({ past: null, failure: null, stuck: null });
  readonly #api: Api;
  readonly #id: string;
  readonly #options: ReadingOptions;
  /** The id of a line that must be loaded. */
  #at: string | null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts starts and stops; responses to earlier requests are stale. */
  #turn = 0;
  #isAsking = false;
  /** The newest version that caused a reload. */
  #heard = 0;

  constructor(api: Api, id: string, options: ReadingOptions) {
    this.#api = api;
    this.#id = id;
    this.#options = options;
    this.#at = options.at ?? null;
  }

  /** Loads the conversation, or reloads it, also after a failure. */
  async start(): Promise<void> {
    this.stop();
    const turn = this.#turn;
    const { past: held } = this.read.value;
    this.#set(held);
    this.#isAsking = true;
    try {
      let past = await this.#part(held);
      if (isOver(past.session) && (await this.#options.complete(this.#id)))
        past = await this.#part(past);
      if (turn !== this.#turn) return;
      this.#set(past);
      if (past.session.status === "ENDING") this.#again();
      else if (!isOver(past.session)) this.#options.goesOn(past.session);
    } catch (error) {
      if (turn !== this.#turn) return;
      const failure = failureOf(error);
      // Keep the loaded lines on the page rather than show an error.
      if (held !== null && !REVOKED.has(failure.kind)) return this.#again();
      this.read.set({ past: null, failure, stuck: null });
    } finally {
      if (turn === this.#turn) this.#isAsking = false;
    }
  }

  /** Loads this line unless it is already loaded. */
  async reach(line: string): Promise<void> {
    if (has(this.read.value.past, line) || this.#at === line) return;
    this.#at = line;
    await this.start();
  }

  /** Loads the lines before or after the loaded ones. */
  async more(way: Way): Promise<void> {
    const { past } = this.read.value;
    const cursor = past?.[way] ?? null;
    if (past === null || cursor === null || this.#isAsking) return;
    const turn = this.#turn;
    this.#isAsking = true;
    try {
      const isEarlier = way === "earlier";
      const page = await this.#page(
        isEarlier ? { last: PAGE, before: cursor } : { first: PAGE, after: cursor },
      );
      if (turn !== this.#turn) return;
      this.#isAsking = false;
      this.#set(
        isEarlier
          ? { ...past, utterances: [...page.nodes, ...past.utterances], earlier: earlier(page) }
          : { ...past, utterances: [...past.utterances, ...page.nodes], later: later(page) },
      );
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#isAsking = false;
      this.read.set({ past, failure: null, stuck: { way, failure: failureOf(error) } });
    }
  }

  /** Reloads for a newer version: words may come after the end, when no stream delivers them. */
  heard(version: number): void {
    const session = this.read.value.past?.session;
    if (session?.status !== "ENDED" || version <= Math.max(session.version, this.#heard)) return;
    this.#heard = version;
    void this.start();
  }

  /** Checks whether the conversation still exists: its deletion may have gone unreported. */
  async check(): Promise<void> {
    try {
      await this.#api.query(SessionDocument, { id: this.#id });
    } catch (error) {
      const failure = failureOf(error);
      if (!REVOKED.has(failure.kind)) return;
      this.stop();
      this.read.set({ past: null, failure, stuck: null });
    }
  }

  stop(): void {
    this.#turn++;
    this.#isAsking = false;
    clearTimeout(this.#timer);
  }

  #again(): void {
    this.#timer = setTimeout(() => void this.start(), LAST_WORDS_MS);
  }

  #set(past: Past | null): void {
    this.read.set({ past, failure: null, stuck: null });
  }

  async #part(held: Past | null): Promise<Past> {
    if (this.#at !== null && !has(held, this.#at)) {
      const around = await this.#around(this.#at);
      if (around !== null) return around;
      // The line is gone or belongs to another conversation.
      this.#at = null;
    }
    return held !== null && held.later !== null ? this.#asHeld(held) : this.#end(held);
  }

  async #around(line: string): Promise<Past | null> {
    const { node } = await this.#api.query(LineDocument, { id: line });
    if (node === null || node === undefined || !("cursor" in node)) return null;
    const { cursor, session: of, ...utterance } = node;
    if (of.id !== this.#id) return null;
    const { session } = await this.#api.query(AroundDocument, { id: this.#id, cursor });
    if (!session) throw new TypeError("an answer without its session");
    return {
      session,
      utterances: [...session.earlier.nodes, utterance, ...session.later.nodes],
      earlier: earlier(session.earlier),
      later: later(session.later),
    };
  }

  /** Keeps lines from the middle, where nothing changes any more, and reloads the session. */
  async #asHeld(held: Past): Promise<Past> {
    const { session } = await this.#api.query(SessionDocument, { id: this.#id });
    if (!session) throw new TypeError("an answer without its session");
    return { ...held, session };
  }

  /** Loads from the end back to the first loaded line. */
  async #end(held: Past | null): Promise<Past> {
    let page = await this.#page({ last: PAGE });
    let utterances = page.nodes;
    const first = held?.utterances[0];
    while (
      first &&
      page.pageInfo.hasPreviousPage &&
      !utterances.some(({ id }) => id === first.id)
    ) {
      const before = page.pageInfo.startCursor ?? null;
      page = { ...(await this.#page({ last: PAGE, before })), session: page.session };
      utterances = [...page.nodes, ...utterances];
    }
    return { session: page.session, utterances, earlier: earlier(page), later: null };
  }

  async #page(asked: { first?: number; after?: string; last?: number; before?: string | null }) {
    const { session } = await this.#api.query(PastDocument, { id: this.#id, ...asked });
    if (!session) throw new TypeError("an answer without its session");
    return { ...session.utterances, session: session as Session };
  }
}

const has = (past: Past | null, line: string): boolean =>
  past?.utterances.some(({ id }) => id === line) ?? false;

const earlier = ({ pageInfo }: UtterancePageFragment): string | null =>
  pageInfo.hasPreviousPage ? (pageInfo.startCursor ?? null) : null;

const later = ({ pageInfo }: UtterancePageFragment): string | null =>
  pageInfo.hasNextPage ? (pageInfo.endCursor ?? null) : null;
