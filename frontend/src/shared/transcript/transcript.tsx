/** A conversation's lines and their announcements for screen readers. */
import { useEffect, useRef, useState } from "react";

import type { Pending, Utterance } from "../../features/conversation/transcript.ts";
import * as texts from "../../texts.ts";
import { useFocusHandedOn } from "../ui/focus.ts";
import { Icon } from "../ui/icons.tsx";
import { announced } from "./answer.tsx";
import { Found, type FoundLines, NOTHING_FOUND } from "./found.ts";
import { PendingLine } from "./pending-line.tsx";
import { asked, Page, TurnFrame } from "./turn.tsx";
import { NO_TURNS, turnsOf } from "./turns.ts";
import { useFollow } from "./use-follow.ts";

interface Props {
  lines: readonly Utterance[];
  pending: readonly Pending[];
  isLive: boolean;
  /** Whether a line may still grow. */
  isSpoken(line: Utterance): boolean;
  /** Finals that arrive after this are announced; earlier ones are not. */
  isCaughtUp: boolean;
  onAgain(key: string): void;
  /** Search results in the transcript. */
  found?: FoundLines;
  /** Whether it opens at its end and stays there; true by default. */
  isAtEnd?: boolean;
  before?: React.ReactNode;
  after?: React.ReactNode;
}

export function Transcript(props: Props) {
  const { lines, pending, isLive, isCaughtUp } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const held = useRef(NO_TURNS);
  held.current = turnsOf(lines, held.current);
  const { pages } = held.current;
  // A transcript that was live stays at the bottom after the conversation has ended.
  const wasLive = useRef(isLive);
  wasLive.current ||= isLive;
  const { isAway, toEnd } = useFollow(scroll, [lines, pending, props.after], props.isAtEnd);
  return (
    <div className="transcript" data-live={isLive} data-end={wasLive.current}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: scrolling needs keyboard access */}
      <section className="scroll" ref={scroll} tabIndex={0} aria-label={texts.conversationTitle}>
        <div className="column">
          {props.before}
          <div className="lines">
            <Found value={props.found ?? NOTHING_FOUND}>
              {pages.map((page, number) => (
                <Page key={number} turns={page} isSpoken={asked(page, props.isSpoken)} />
              ))}
            </Found>
            {pending.length > 0 && (
              <ol className="page">
                {pending.map((line) => (
                  <TurnFrame key={line.key} speaker="USER">
                    <PendingLine line={line} onAgain={props.onAgain} />
                  </TurnFrame>
                ))}
              </ol>
            )}
          </div>
          {props.after}
        </div>
      </section>
      {isAway && isLive && <JumpToLatest onJump={toEnd} backTo={() => scroll.current} />}
      <Announcer lines={lines} isCaughtUp={isCaughtUp} />
    </div>
  );
}

function JumpToLatest({ onJump, backTo }: { onJump(): void; backTo(): Element | null }) {
  const ref = useRef<HTMLButtonElement>(null);
  useFocusHandedOn(ref, backTo);
  return (
    <button type="button" className="button jump" ref={ref} onClick={onJump}>
      <Icon name="down" size={18} />
      {texts.transcriptJumpToLatest}
    </button>
  );
}

const KEPT = 20;

interface Said {
  id: string;
  words: string;
}

async function toSay({ id, role, text }: Utterance): Promise<Said> {
  const words =
    role === "USER"
      ? texts.transcriptSaidBy(texts.transcriptYou) + text
      : texts.transcriptSaidBy(texts.transcriptAgent) + (await announced(text));
  return { id, words };
}

/** Announces every final once and no interim; a separate log, because the visible lines change. */
function Announcer({ lines, isCaughtUp }: { lines: readonly Utterance[]; isCaughtUp: boolean }) {
  const known = useRef<Set<string> | null>(null);
  const queue = useRef(Promise.resolve());
  const [said, setSaid] = useState<readonly Said[]>([]);
  useEffect(() => {
    if (!isCaughtUp) return;
    const finals = lines.filter((line) => line.isFinal);
    if (known.current === null) {
      known.current = new Set(finals.map((line) => line.id));
      return;
    }
    const before = known.current;
    const fresh = finals.filter((line) => !before.has(line.id));
    if (fresh.length === 0) return;
    for (const line of fresh) before.add(line.id);
    // In order, because the Markdown parser may still have to load.
    queue.current = queue.current.then(async () => {
      const more = await Promise.all(fresh.map(toSay));
      setSaid((now) => [...now, ...more].slice(-KEPT));
    });
  }, [lines, isCaughtUp]);
  return (
    <div className="unseen" role="log" aria-label={texts.transcriptAnnouncements}>
      {said.map((line) => (
        <p key={line.id}>{line.words}</p>
      ))}
    </div>
  );
}
