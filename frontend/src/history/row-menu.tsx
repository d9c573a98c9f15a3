/** What else can be done with a conversation of the list. */
import * as Menu from "@radix-ui/react-dropdown-menu";
import { useCallback, useRef } from "react";
import * as texts from "../texts.ts";
import type { Opened } from "./more.tsx";

interface Props {
  /** The button that it belongs to: it was there before, and keeps the focus while this comes. */
  buttonId: string;
  opened: Opened | null;
  onClose(): void;
  /** Where the focus goes when it closes. */
  backTo(): HTMLElement | null;
  onRename(): void;
  onDelete(): void;
}

export default function RowMenu(props: Props) {
  const { opened } = props;
  const wentElsewhere = useRef(false);
  const isByKeys = opened === "by keys";
  const first = useCallback(
    (item: HTMLElement | null) => void (isByKeys && item?.focus({ preventScroll: true })),
    [isByKeys],
  );
  return (
    <Menu.Root modal={false} open={opened !== null} onOpenChange={props.onClose}>
      <Menu.Trigger asChild>
        <span className="row-more-place" aria-hidden="true" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content
          className="menu"
          align="end"
          sideOffset={4}
          aria-labelledby={props.buttonId}
          onInteractOutside={() => {
            wentElsewhere.current = true;
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            if (!wentElsewhere.current) props.backTo()?.focus();
            wentElsewhere.current = false;
          }}
        >
          <Menu.Item className="menu-item" ref={first} onSelect={props.onRename}>
            {texts.historyRename}
          </Menu.Item>
          <Menu.Item className="menu-item danger" onSelect={props.onDelete}>
            {texts.historyDelete}
          </Menu.Item>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
