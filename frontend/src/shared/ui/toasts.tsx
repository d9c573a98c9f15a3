import * as RadixToast from "@radix-ui/react-toast";
import { useRef } from "react";

import { useApp } from "../../app/context.ts";
import * as texts from "../../texts.ts";
import { useStore } from "../store/store.ts";
import { Icon } from "./icons.tsx";

function isFocused(): boolean {
  return document.activeElement?.closest(".toast") != null;
}

/** Notes have their own place below the page's header, so that they don't cover it. */
export default function ToastRegion() {
  const { toasts } = useApp();
  const shown = useStore(toasts);
  // Esc is meant for a menu, dialog or drawer; an unfocused note with an action stays.
  const isMeantForOthers = useRef(false);
  return (
    <div className="toasts-place">
      <RadixToast.Provider swipeDirection="up" label={texts.shellNotification}>
        {shown.map(({ id, text, action }) => (
          <RadixToast.Root
            key={id}
            className="toast"
            open
            duration={action ? Number.POSITIVE_INFINITY : 4000}
            onEscapeKeyDown={() => {
              isMeantForOthers.current = action !== null && !isFocused();
            }}
            onOpenChange={() => {
              if (!isMeantForOthers.current) {
                toasts.dismiss(id);
                action?.dismissed?.();
              }
              isMeantForOthers.current = false;
            }}
            onPointerEnter={() => action?.attended?.(true)}
            onPointerLeave={() => action?.attended?.(false)}
            onFocus={() => action?.attended?.(true)}
            onBlur={() => action?.attended?.(false)}
          >
            <RadixToast.Description>{text}</RadixToast.Description>
            {action && (
              <RadixToast.Action
                className="button quiet"
                altText={action.label}
                onClick={() => action.run()}
              >
                {action.label}
              </RadixToast.Action>
            )}
            <RadixToast.Close className="icon-button" aria-label={texts.dismiss}>
              <Icon name="close" size={16} />
            </RadixToast.Close>
          </RadixToast.Root>
        ))}
        <RadixToast.Viewport className="toasts" />
      </RadixToast.Provider>
    </div>
  );
}
