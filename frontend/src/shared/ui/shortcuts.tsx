import { keysOf } from "../../app/system.ts";
import * as texts from "../../texts.ts";
import { Dialog } from "./dialog.tsx";

const SHORTCUTS = [
  ["Ctrl+Shift+O", texts.shortcutsNewChat],
  ["Ctrl+K", texts.shortcutsSearch],
  ["Control+M", texts.shortcutsMute],
  ["Ctrl+Z", texts.shortcutsUndo],
  ["F3", texts.shortcutsNextMatch],
  ["Shift+F3", texts.shortcutsPreviousMatch],
  ["Enter", texts.shortcutsSend],
  ["Esc", texts.shortcutsClose],
  ["Ctrl+/", texts.shortcutsHelp],
] as const;

export default function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title={texts.shortcutsTitle} onClose={onClose}>
      <dl className="shortcuts">
        {SHORTCUTS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keysOf(keys).map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
