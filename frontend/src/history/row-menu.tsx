/** What else can be done with a conversation of the list. */
import * as Menu from "@radix-ui/react-dropdown-menu";

import { Icon } from "../ui/icons.tsx";

interface Props {
  title: string;
  onRename(): void;
  onDelete(): void;
}

export default function RowMenu({ title, onRename, onDelete }: Props) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="icon-button row-more" aria-label={`More about ${title}`}>
        <Icon name="more" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="end" sideOffset={4}>
          <Menu.Item className="menu-item" onSelect={onRename}>
            Rename
          </Menu.Item>
          <Menu.Item className="menu-item danger" onSelect={onDelete}>
            Delete…
          </Menu.Item>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
