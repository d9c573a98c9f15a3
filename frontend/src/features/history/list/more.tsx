/** The button for what else can be done with a conversation. Its menu comes when somebody is near:
 * with what it needs to place itself it is a fifth of the page, and few who come will open it. */
import { type KeyboardEvent, type PointerEvent, useEffect, useId, useRef, useState } from "react";

import { later } from "../../../shared/store/lazy.ts";
import { Icon } from "../../../shared/ui/icons.tsx";

/** By what it was opened: keys go on in it where they are, a pointer finds its own way. */
export type Opened = "by pointer" | "by keys";

/** Something that can be done with a conversation. */
export interface WayOn {
  readonly label: string;
  readonly isDanger?: boolean;
  run(): void;
}

interface Props {
  label: string;
  className: string;
  /** Whether the pointer or the focus is at its row, or has been. */
  isNear: boolean;
  ways: readonly WayOn[];
}

const RowMenu = later(
  () => import("./row-menu.tsx"),
  (_, { opened, buttonId, onClose }) =>
    opened !== null && <Awaited buttonId={buttonId} onGone={onClose} />,
);

export function More({ label, className, isNear, ways }: Props) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const [opened, setOpened] = useState<Opened | null>(null);
  const toggle = (by: Opened) => setOpened((now) => (now === null ? by : null));
  const pressed = (event: PointerEvent) => {
    if (event.button !== 0 || event.ctrlKey) return;
    // The focus goes into the menu.
    if (opened === null) event.preventDefault();
    toggle("by pointer");
  };
  const keyed = (event: KeyboardEvent) => {
    if (!["Enter", " ", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "ArrowDown") setOpened("by keys");
    else toggle("by keys");
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        id={id}
        className={`icon-button ${className}`}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={opened !== null}
        data-state={opened === null ? "closed" : "open"}
        onPointerDown={pressed}
        onKeyDown={keyed}
        // Or some browsers make a click of it, too.
        onKeyUp={(event) => event.key === " " && event.preventDefault()}
        // Neither pointer nor key: a program that reads the page to somebody.
        onClick={(event) => event.detail === 0 && toggle("by keys")}
      >
        <Icon name="more" />
      </button>
      {(isNear || opened !== null) && (
        <RowMenu
          buttonId={id}
          opened={opened}
          onClose={() => setOpened(null)}
          backTo={() => button.current}
          ways={ways}
        />
      )}
    </>
  );
}

/** A menu that is long in coming does not take the focus from who has gone on to something else. */
function Awaited({ buttonId, onGone }: { buttonId: string; onGone(): void }) {
  const latest = useRef(onGone);
  latest.current = onGone;
  useEffect(() => {
    const gone = (event: Event) => {
      // The button sees to that itself: a second press calls the menu back.
      const button = document.getElementById(buttonId);
      if (!(event.target instanceof Node && button?.contains(event.target))) latest.current();
    };
    const escaped = (event: globalThis.KeyboardEvent) => {
      if (event.key === "Escape") latest.current();
    };
    // While it is captured: the press that asked for the menu has passed that already.
    document.addEventListener("pointerdown", gone, true);
    document.addEventListener("focusin", gone, true);
    document.addEventListener("keydown", escaped, true);
    return () => {
      document.removeEventListener("pointerdown", gone, true);
      document.removeEventListener("focusin", gone, true);
      document.removeEventListener("keydown", escaped, true);
    };
  }, [buttonId]);
  return null;
}
