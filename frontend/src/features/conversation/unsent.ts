/** Unconfirmed typed lines by conversation; they survive reloads. */
import type { Api } from "../../shared/api/client.ts";
import { SaveSessionDocument } from "../../shared/api/generated/graphql.ts";
import { PerUserStorage } from "../../shared/store/per-user-storage.ts";
import { messages } from "./handover.ts";
import type { Conversation } from "./state.ts";
import { NOTHING_SAID, type Unsent } from "./transcript.ts";

export class UnsentLines extends PerUserStorage<readonly Unsent[]> {
  /** The lines stored last, so that the agent's words cause no write. */
  #taken: Conversation["pending"] | null = null;

  constructor() {
    super("unsent");
  }

  /** The lines under their original keys, so that none is stored twice. */
  of(sessionId: string): readonly Unsent[] {
    const lines: unknown = this.get(sessionId);
    return Array.isArray(lines) ? lines.filter(isUnsent) : [];
  }

  /** Stores the unconfirmed lines; call it after every state change. */
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

  /** Drops lines that the server has or nobody can want any more. */
  drop(sessionId: string): void {
    this.set(sessionId, null);
  }

  /**
   * Uploads the lines to a conversation that has ended.
   *
   * @returns Whether there were any.
   * @throws Failed: when the server does not accept them; they are kept.
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
