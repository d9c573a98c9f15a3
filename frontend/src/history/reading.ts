/** Reads a conversation of the past, word for word, and keeps what it has when that fails later. */
import { type Api, failureOf } from "../api/client.ts";
import type { Failure } from "../api/failure.ts";
import { PastDocument } from "../api/generated/graphql.ts";
import { everything } from "../api/pages.ts";
import { Store } from "../app/store.ts";
import { isOver, type Session } from "../conversation/state.ts";
import type { Utterance } from "../conversation/transcript.ts";

/** While its agent still hands in the last words, a conversation is read anew this often. */
export const LAST_WORDS_MS = 1500;

export interface Past {
  readonly session: Session;
  readonly utterances: readonly Utterance[];
}

export interface Read {
  readonly past: Past | null;
  /** Why there is nothing to be read. */
  readonly failure: Failure | null;
}

export interface ReadingOptions {
  /** Puts what is missing into one that is over; says whether anything was. */
  complete(id: string): Promise<boolean>;
  /** Told of a conversation that goes on. */
  goesOn(session: Session): unknown;
}

/** Failures after which what is held is not this person's to read any more. */
const REVOKED = new Set(["not-found", "forbidden"]);

export class Reading {
  readonly read = new Store<Read>({ past: null, failure: null });
  readonly #api: Api;
  readonly #id: string;
  readonly #options: ReadingOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts the times it was begun or stopped: what was asked for before that is stale. */
  #turn = 0;
  /** The newest version that it was read anew for. */
  #heard = 0;

  constructor(api: Api, id: string, options: ReadingOptions) {
    this.#api = api;
    this.#id = id;
    this.#options = options;
  }

  /** Reads it, from the beginning; also after a failure. */
  async start(): Promise<void> {
    this.stop();
    const turn = this.#turn;
    const { past: held } = this.read.value;
    this.read.set({ past: held, failure: null });
    try {
      let past = await words(this.#api, this.#id);
      if (isOver(past.session) && (await this.#options.complete(this.#id)))
        past = await words(this.#api, this.#id);
      if (turn !== this.#turn) return;
      this.read.set({ past, failure: null });
      if (past.session.status === "ENDING") this.#again();
      else if (!isOver(past.session)) this.#options.goesOn(past.session);
    } catch (error) {
      if (turn !== this.#turn) return;
      const failure = failureOf(error);
      // What can be read stays, rather than a sentence that it can't.
      if (held !== null && !REVOKED.has(failure.kind)) return this.#again();
      this.read.set({ past: null, failure });
    }
  }

  /** Told of a newer version of it: words may have come after its end, and no stream brings them. */
  heard(version: number): void {
    const session = this.read.value.past?.session;
    if (session?.status !== "ENDED" || version <= Math.max(session.version, this.#heard)) return;
    this.#heard = version;
    void this.start();
  }

  stop(): void {
    this.#turn++;
    clearTimeout(this.#timer);
  }

  #again(): void {
    this.#timer = setTimeout(() => void this.start(), LAST_WORDS_MS);
  }
}

async function words(api: Api, id: string): Promise<Past> {
  const sessions: Session[] = [];
  const utterances = await everything<Utterance>(async (after) => {
    const { session } = await api.query(PastDocument, { id, after });
    if (!session) throw new TypeError("an answer without its session");
    sessions.push(session);
    return session.utterances;
  });
  return { session: sessions.at(-1) as Session, utterances };
}
