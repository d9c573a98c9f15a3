/** Typed lines that the server has not confirmed, by conversation: a reload finds them again. */
import type { Api } from "../../shared/api/client.ts";
import { SaveSessionDocument } from "../../shared/api/generated/graphql.ts";
import { PerUserStorage } from "../../shared/store/per-user-storage.ts";
import { messages } from "./handover.ts";
import type { Conversation } from "./state.ts";
import { NOTHING_SAID, type Unsent } from "./transcript.ts";

export class UnsentLines extends PerUserStorage<readonly Unsent[]> {
  /** What was taken last, so that a word of the agent costs no writing. */
  #taken: Conversation["pending"] | null = null;

  constructor() {
    super("unsent");
  }

  /** Under the keys that they had: what got through after all is not said twice. */
  of(sessionId: string): readonly Unsent[] {
    const lines: unknown = this.get(sessionId);
    return Array.isArray(lines) ? lines.filter(isUnsent) : [];
  }

  /** To be told of every change: takes what is unconfirmed now. */
  follow({ session, pending, isDeleted }: Conversation): void {
    if (session === null) return;
    if (isDeleted) return this.drop(session.id);
    if (pending === this.#taken) return;
    this.#taken = pending;
    const kept = pending.map(({ key, text, typedAt, isTried }) => ({
      key,
      text,
      typedAt,
      isTried,
    }));
    this.set(session.id, kept.length === 0 ? null : kept);
  }

  /** The server has them, or nobody can want them any more. */
  drop(sessionId: string): void {
    this.set(sessionId, null);
  }

  /**
   * Puts them into a conversation that is over: nobody can say them there any more.
   *
   * @returns Whether there were any.
   * @throws Failed: The server did not take them; they are kept.
   */
  async handIn(api: Api, sessionId: string): Promise<boolean> {
    const lines = this.of(sessionId);
    if (lines.length === 0) return false;
    const input = { sessionId, messages: messages(NOTHING_SAID, lines) };
    await api.mutate(SaveSessionDocument, { input });
    this.drop(sessionId);
    return true;
  }
}

function isUnsent(line: Partial<Unsent> | null): line is Unsent {
  const isWhole = [line?.key, line?.text, line?.typedAt].every((part) => typeof part === "string");
  return isWhole && typeof line?.isTried === "boolean";
}
