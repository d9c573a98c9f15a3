/** The names of keys on the person's system. */

const MAC = { Ctrl: "⌘", Shift: "⇧", Control: "⌃", Enter: "↩", Esc: "esc" } as const;
/** The order of modifiers on a Mac; the key itself comes last. */
const ORDER = "⌃⇧⌘";

/** Whether the page runs on an Apple system. */
export function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform);
}

/**
 * Returns the keys of a shortcut as the person's system writes them.
 *
 * @param keys Such as "Ctrl+Shift+O"; "Control" is the Control key on a Mac, too.
 */
export function keysOf(keys: string, isOnMac = isMac()): string[] {
  const names = keys.split("+");
  if (!isOnMac) return names.map((name) => (name === "Control" ? "Ctrl" : name));
  const place = (sign: string) => (ORDER.includes(sign) ? ORDER.indexOf(sign) : ORDER.length);
  return names
    .map((name) => MAC[name as keyof typeof MAC] ?? name)
    .sort((a, b) => place(a) - place(b));
}

/** The same as one string, for a sentence. */
export const shortcut = (keys: string, isOnMac = isMac()): string =>
  keysOf(keys, isOnMac).join(isOnMac ? "" : "+");
