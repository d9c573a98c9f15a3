/** A modal dialog: the browser's own, which traps the focus, takes Esc and covers the page. */
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { createPortal } from "react-dom";
import * as texts from "../../texts.ts";
import { useFocusHandedOn } from "./focus.ts";
import { Icon } from "./icons.tsx";

interface Props {
  title: string;
  onClose(): void;
  /** Where the focus goes if what it came from is gone; the page knows a place otherwise. */
  backTo?(): Element | null;
  children: ReactNode;
}

export function Dialog(props: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const title = useId();
  useFocusHandedOn(ref, props.backTo);
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    // What does no harm, rather than the first that can have the focus.
    dialog?.querySelector<HTMLElement>("[data-safe]")?.focus();
    return () => dialog?.close();
  }, []);
  // Apart from what it belongs to, whose styles are not meant for it.
  return createPortal(
    <dialog
      ref={ref}
      className="dialog"
      aria-labelledby={title}
      // Browsers may close it without asking; one that is open has been opened again since.
      onClose={() => !ref.current?.open && props.onClose()}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <header className="dialog-head">
        <h2 id={title}>{props.title}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label={texts.close}
          onClick={props.onClose}
        >
          <Icon name="close" />
        </button>
      </header>
      {props.children}
    </dialog>,
    document.body,
  );
}
