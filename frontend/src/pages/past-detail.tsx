/** When a conversation was, how long, and how much was said. */
import type { Session } from "../conversation/state.ts";
import * as texts from "../texts.ts";
import { duration, moment } from "../ui/time.ts";

export function PastDetail({ session }: { session: Session }) {
  const parts = [
    moment(session.createdAt),
    session.durationMs == null ? null : duration(session.durationMs),
    texts.lines(session.utteranceCount),
  ];
  return <span>{parts.filter(Boolean).join(" · ")}</span>;
}
