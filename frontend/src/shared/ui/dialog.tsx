/** A modal dialog: the browser's own, which traps the focus, handles Esc and covers the page. */
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { createPortal } from "react-dom";
import * as texts from "../../texts.ts";
import { useFocusHandedOn } from "./focus.ts";
import { Icon } from "./icons.tsx";

interface Props {
  title: string;
  onClose(): void;
  /** Where the focus goes if its origin is gone; the page's landing element by default. */
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
    // Focus the harmless button rather than the first focusable element.
    dialog?.querySelector<HTMLElement>("[data-safe]")?.focus();
    return () => dialog?.close();
  }, []);
  // In a portal, so that the parent's styles don't apply.
  return createPortal(
    <dialog
      ref={ref}
      className="dialog"
      aria-labelledby={title}
      // Browsers may close it without a cancel event; if it is open, it was opened again since.
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
