/** A turn: who speaks, the words as one flow, and once for all of it the time and Copy. */
import { memo, type ReactNode } from "react";

import type { Utterance } from "../../features/conversation/transcript.ts";
import * as texts from "../../texts.ts";
import { Copying } from "../ui/copying.tsx";
import { clock, moment } from "../ui/time.ts";
import { Line } from "./line.tsx";
import { type Turn, wordsOf } from "./turns.ts";

interface FrameProps {
  speaker: Utterance["role"];
  children: ReactNode;
  foot?: ReactNode;
}

/** What surrounds the lines of a turn, or a typed line that is on its way to become one. */
export function TurnFrame({ speaker, children, foot }: FrameProps) {
  return (
    <li className="turn" data-role={speaker} data-pending={foot === undefined ? "" : undefined}>
      {/* Each line says it itself to those who hear the page. */}
      <span className="turn-who" aria-hidden="true">
        {speaker === "USER" ? texts.transcriptYou : texts.transcriptAgent}
      </span>
      <ol className="turn-lines" role="none">
        {children}
      </ol>
      {foot}
    </li>
  );
}

const words = (button: Element) => button.closest(".turn")?.querySelector(".turn-lines") ?? null;

interface Props {
  turn: Turn;
  /** The ids of the lines of which more may come, with a space after each. */
  spoken: string;
}

const OneTurn = memo(function OneTurn({ turn, spoken }: Props) {
  const first = turn.lines[0] as Utterance;
  const foot = (
    <p className="turn-foot">
      <time dateTime={first.startedAt} title={moment(first.startedAt)}>
        {clock(first.startedAt)}
      </time>
      {spoken === "" && (
        <Copying className="copy" text={wordsOf(turn)} label={texts.copy} at={words} />
      )}
    </p>
  );
  return (
    <TurnFrame speaker={first.role} foot={foot}>
      {turn.lines.map((line) => (
        <Line key={line.id} utterance={line} isSpoken={spoken.includes(`${line.id} `)} />
      ))}
    </TurnFrame>
  );
});

type IsSpoken = (line: Utterance) => boolean;

const idsOf = ({ lines, isOpen }: Turn, isSpoken: IsSpoken): string =>
  isOpen
    ? lines
        .filter(isSpoken)
        .map((line) => `${line.id} `)
        .join("")
    : "";

interface PageProps {
  turns: readonly Turn[];
  isSpoken: IsSpoken;
}

export const Page = memo(function Page({ turns, isSpoken }: PageProps) {
  return (
    <ol className="page">
      {turns.map((turn) => (
        <OneTurn key={turn.lines[0]?.id} turn={turn} spoken={idsOf(turn, isSpoken)} />
      ))}
    </ol>
  );
});

const nobody = () => false;

/** What a page has to ask: of one that is settled, nobody, so that it is not drawn anew. */
export const asked = (page: readonly Turn[], isSpoken: IsSpoken): IsSpoken =>
  page.some((turn) => turn.isOpen) ? isSpoken : nobody;
