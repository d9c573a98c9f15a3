/** A conversation's date, duration and number of lines. */

import { duration, moment } from "../../../shared/ui/time.ts";
import * as texts from "../../../texts.ts";
import type { Session } from "../../conversation/state.ts";

export function PastDetail({ session }: { session: Session }) {
  const parts = [
    moment(session.createdAt),
    session.durationMs == null ? null : duration(session.durationMs),
    texts.lines(session.utteranceCount),
  ];
  return <span>{parts.filter(Boolean).join(" · ")}</span>;
}
