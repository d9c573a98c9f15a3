/** A click that copies, and says that it did. */
import { type ReactNode, useState } from "react";

import { Icon } from "./icons.tsx";

const SHOWN_MS = 1500;

interface Props {
  text: string;
  label: string;
  className: string;
  children?: ReactNode;
}

export function Copying({ text, label, className, children }: Props) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), SHOWN_MS);
    } catch {
      // Browsers may forbid it; the text can still be selected.
    }
  };
  return (
    <button
      type="button"
      className={className}
      aria-label={isDone ? "Copied" : label}
      onClick={() => void copy()}
    >
      {children}
      <Icon name={isDone ? "check" : "copy"} size={children ? 14 : 16} />
    </button>
  );
}
