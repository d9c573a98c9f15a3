import { SHORTCUTS } from "../app/shortcuts.ts";
import * as texts from "../texts.ts";
import { Dialog } from "./dialog.tsx";

export function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title={texts.shortcutsTitle} onClose={onClose}>
      <dl className="shortcuts">
        {SHORTCUTS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split("+").map((key) => (
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
