/** Switches the microphone during a conversation. */
import * as Menu from "@radix-ui/react-dropdown-menu";
import { Icon } from "../../../shared/ui/icons.tsx";
import * as texts from "../../../texts.ts";
import { useMicrophones } from "./use-microphones.ts";

export default function MicrophoneMenu() {
  const { devices, chosen, choose } = useMicrophones();
  if (devices.length < 2) return null;
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger
        className="icon-button microphone-choice"
        aria-label={texts.dockChooseMicrophone}
      >
        <Icon name="choose" size={18} />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="start" side="top" sideOffset={8}>
          <Menu.RadioGroup value={chosen ?? ""} onValueChange={choose}>
            <Choice value="" label={texts.microphoneSystemDefault} />
            {devices.map((device) => (
              <Choice
                key={device.deviceId}
                value={device.deviceId}
                label={device.label || texts.microphoneUnnamed}
              />
            ))}
          </Menu.RadioGroup>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}

function Choice({ value, label }: { value: string; label: string }) {
  return (
    <Menu.RadioItem className="menu-item" value={value}>
      <span className="menu-check">
        <Menu.ItemIndicator>
          <Icon name="check" size={18} />
        </Menu.ItemIndicator>
      </span>
      {label}
    </Menu.RadioItem>
  );
}
