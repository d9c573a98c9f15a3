import * as RadixToast from "@radix-ui/react-toast";

import { useApp } from "../app/context.ts";
import { useStore } from "../app/store.ts";
import { Icon } from "./icons.tsx";

/** Notes have a place of their own below the head of the page, so that they cover nothing. */
export default function ToastRegion() {
  const { toasts } = useApp();
  const shown = useStore(toasts);
  return (
    <div className="toasts-place">
      <RadixToast.Provider swipeDirection="up" label="Note">
        {shown.map(({ id, text, action }) => (
          <RadixToast.Root
            key={id}
            className="toast"
            duration={action ? Number.POSITIVE_INFINITY : 4000}
            onOpenChange={(isOpen) => !isOpen && toasts.dismiss(id)}
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
            <RadixToast.Close className="icon-button" aria-label="Dismiss">
              <Icon name="close" size={16} />
            </RadixToast.Close>
          </RadixToast.Root>
        ))}
        <RadixToast.Viewport className="toasts" />
      </RadixToast.Provider>
    </div>
  );
}
