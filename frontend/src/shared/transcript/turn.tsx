/** A turn: its speaker, its words as one text, one time and one Copy button. */
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

/** The frame around the lines of a turn, or around an unconfirmed typed line. */
export function TurnFrame({ speaker, children, foot }: FrameProps) {
  return (
    <li className="turn" data-role={speaker} data-pending={foot === undefined ? "" : undefined}>
      {/* For screen readers, each line names its speaker. */}
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
  /** The ids of the lines that may still grow, with a space after each. */
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

/** The `isSpoken` of a page; constant for a settled page, so that it does not render again. */
export const asked = (page: readonly Turn[], isSpoken: IsSpoken): IsSpoken =>
  page.some((turn) => turn.isOpen) ? isSpoken : nobody;
