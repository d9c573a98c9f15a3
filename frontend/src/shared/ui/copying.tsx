/** A button that copies and says that it did, or what to do instead. */
import { type MouseEvent, type ReactNode, useState } from "react";

import { useApp } from "../../app/context.ts";
import { shortcut } from "../../app/system.ts";
import * as texts from "../../texts.ts";
import { copied, select } from "./copy.ts";
import { Icon } from "./icons.tsx";

const SHOWN_MS = 1500;

interface Props {
  text: string;
  label: string;
  className: string;
  /** Finds the element with the text from the button. */
  at(button: Element): Element | null;
  children?: ReactNode;
}

export function Copying({ text, label, className, at, children }: Props) {
  const { toasts } = useApp();
  const [isDone, setDone] = useState(false);
  const copy = async ({ currentTarget }: MouseEvent) => {
    if (await copied(text)) {
      setDone(true);
      setTimeout(() => setDone(false), SHOWN_MS);
    } else {
      select(at(currentTarget));
      toasts.tell(texts.notCopied(shortcut("Ctrl+C")));
    }
  };
  return (
    <button
      type="button"
      className={className}
      aria-label={isDone ? texts.copied : label}
      onClick={(event) => void copy(event)}
    >
      {children}
      <Icon name={isDone ? "check" : "copy"} size={children ? 14 : 16} />
    </button>
  );
}
