/** The button of a conversation's menu. The menu loads when the pointer or focus is near: with its
 * positioning code it is a fifth of the page, and few people open it. */
import { type KeyboardEvent, type PointerEvent, useEffect, useId, useRef, useState } from "react";

import { later } from "../../../shared/store/lazy.ts";
import { Icon } from "../../../shared/ui/icons.tsx";

/** How the menu was opened; keys focus its first item, a pointer does not. */
export type Opened = "by pointer" | "by keys";

/** An action on a conversation. */
export interface WayOn {
  readonly label: string;
  readonly isDanger?: boolean;
  run(): void;
}

interface Props {
  label: string;
  className: string;
  /** Whether the pointer or focus is or was at the row. */
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
    // The button must not take the focus; the menu does.
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
        // Otherwise some browsers fire a click as well.
        onKeyUp={(event) => event.key === " " && event.preventDefault()}
        // Neither pointer nor key: a screen reader.
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

/** Calls `onGone` if the person moves on while the menu loads: it must not take the focus then. */
function Awaited({ buttonId, onGone }: { buttonId: string; onGone(): void }) {
  const latest = useRef(onGone);
  latest.current = onGone;
  useEffect(() => {
    const gone = (event: Event) => {
      // The button handles its own presses: a second one cancels the menu.
      const button = document.getElementById(buttonId);
      if (!(event.target instanceof Node && button?.contains(event.target))) latest.current();
    };
    const escaped = (event: globalThis.KeyboardEvent) => {
      if (event.key === "Escape") latest.current();
    };
    // In the capture phase, which the press that opened the menu has already passed.
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
