/** Reads a conversation of the past, a part at a time: its end, or what is around a line. What it has
 * stays when reading fails later. */
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

/** While its agent still hands in the last words, a conversation is read anew this often. */
export const LAST_WORDS_MS = 1500;
/** Lines that are read at once; the server gives no more. */
const PAGE = 500;

/** Lines that follow one another. */
export interface Past {
  readonly session: Session;
  readonly utterances: readonly Utterance[];
  /** From where the lines before them are read; null when there are none. */
  readonly earlier: string | null;
  /** From where the lines after them are read; null when there are none. */
  readonly later: string | null;
}

export type Way = "earlier" | "later";

export interface Read {
  readonly past: Past | null;
  /** Why there is nothing to be read. */
  readonly failure: Failure | null;
  /** Which lines could not be read. */
  readonly stuck: { readonly way: Way; readonly failure: Failure } | null;
}

export interface ReadingOptions {
  /** The id of the line to begin at; the end of the conversation without. */
  at?: string | null;
  /** Puts what is missing into one that is over; says whether anything was. */
  complete(id: string): Promise<boolean>;
  /** Told of a conversation that goes on. */
  goesOn(session: Session): unknown;
}

/** Failures after which what is held is not this person's to read any more. */
const REVOKED = new Set(["not-found", "forbidden"]);

export class Reading {
  readonly read = new Store<Read>({ past: null, failure: null, stuck: null });
  readonly #api: Api;
  readonly #id: string;
  readonly #options: ReadingOptions;
  /** The line that has to be among what is read. */
  #at: string | null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts the times it was begun or stopped: what was asked for before that is stale. */
  #turn = 0;
  #isAsking = false;
  /** The newest version that it was read anew for. */
  #heard = 0;

  constructor(api: Api, id: string, options: ReadingOptions) {
    this.#api = api;
    this.#id = id;
    this.#options = options;
    this.#at = options.at ?? null;
  }

  /** Reads it; also after a failure. What is held already is read anew. */
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
      // What can be read stays, rather than a sentence that it can't.
      if (held !== null && !REVOKED.has(failure.kind)) return this.#again();
      this.read.set({ past: null, failure, stuck: null });
    } finally {
      if (turn === this.#turn) this.#isAsking = false;
    }
  }

  /** Sees to it that this line is among what is read. */
  async reach(line: string): Promise<void> {
    if (has(this.read.value.past, line) || this.#at === line) return;
    this.#at = line;
    await this.start();
  }

  /** Reads what comes before what is held, or after it. */
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

  /** Told of a newer version of it: words may have come after its end, and no stream brings them. */
  heard(version: number): void {
    const session = this.read.value.past?.session;
    if (session?.status !== "ENDED" || version <= Math.max(session.version, this.#heard)) return;
    this.#heard = version;
    void this.start();
  }

  /** Sees whether it is still there: it may have been deleted while nobody told that. */
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
      // It is gone, or of another conversation.
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

  /** Somewhere in the middle, where nothing changes any more. */
  async #asHeld(held: Past): Promise<Past> {
    const { session } = await this.#api.query(SessionDocument, { id: this.#id });
    if (!session) throw new TypeError("an answer without its session");
    return { ...held, session };
  }

  /** The end of it, and all that is held before that. */
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
