/** The menu of a conversation's actions. */
import * as Menu from "@radix-ui/react-dropdown-menu";
import { useCallback, useRef } from "react";
import type { Opened, WayOn } from "./more.tsx";

interface Props {
  /** The menu's button: it exists before the menu and keeps the focus while the menu loads. */
  buttonId: string;
  opened: Opened | null;
  onClose(): void;
  /** Where the focus goes when the menu closes. */
  backTo(): HTMLElement | null;
  ways: readonly WayOn[];
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
          {props.ways.map(({ label, isDanger, run }, index) => (
            <Menu.Item
              key={label}
              className={isDanger ? "menu-item danger" : "menu-item"}
              ref={index === 0 ? first : undefined}
              onSelect={run}
            >
              {label}
            </Menu.Item>
          ))}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
