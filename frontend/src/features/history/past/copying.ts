/** Copies a conversation's transcript, as plain text, or its id. */

import type { App } from "../../../app/app.ts";
import { type Api, failureOf } from "../../../shared/api/client.ts";
import { PastDocument } from "../../../shared/api/generated/graphql.ts";
import { everything } from "../../../shared/api/pages.ts";
import { copied, copiedLater } from "../../../shared/ui/copy.ts";
import { clock, date } from "../../../shared/ui/time.ts";
import * as texts from "../../../texts.ts";
import { nameOf, problem } from "../../conversation/messages.ts";
import type { Session } from "../../conversation/state.ts";
import type { Utterance } from "../../conversation/transcript.ts";

/** A whole conversation: its name, its date, and each line with its time and speaker. */
export function transcript(session: Session, lines: readonly Utterance[]): string {
  let day = date(session.createdAt);
  const said = lines.flatMap((line) => {
    const now = date(line.startedAt);
    // A conversation may run past midnight.
    const heading = now === day ? [] : ["", now, ""];
    day = now;
    return [...heading, `[${clock(line.startedAt)}] ${spoken(line)}`];
  });
  return [nameOf(session), date(session.createdAt), "", ...said, ""].join("\n");
}

function spoken({ role, text, isFinal, isInterrupted }: Utterance): string {
  const who = role === "USER" ? texts.transcriptYou : texts.transcriptAgent;
  const note = isInterrupted
    ? texts.transcriptInterrupted
    : isFinal
      ? ""
      : texts.transcriptUnfinished;
  return `${texts.transcriptSaidBy(who)}${text}${note && ` (${note})`}`;
}

/** All lines of a conversation, including those that the page does not show. */
async function linesOf(api: Api, id: string): Promise<Utterance[]> {
  return everything<Utterance>(async (after) => {
    const { session } = await api.query(PastDocument, { id, first: 500, after });
    if (!session) throw new TypeError("an answer without its session");
    return session.utterances;
  });
}

export async function copyTranscript({ api, toasts }: App, session: Session): Promise<void> {
  try {
    const text = linesOf(api, session.id).then((lines) => transcript(session, lines));
    toasts.tell((await copiedLater(text)) ? texts.copiedTranscript : texts.notCopiedTranscript);
  } catch (error) {
    toasts.tell(`${texts.notCopiedTranscript} ${problem(failureOf(error))}`);
  }
}

export async function copyId({ toasts }: App, { id }: Session): Promise<void> {
  toasts.tell((await copied(id)) ? texts.copiedId : texts.notCopiedId(id));
}
