/** The system that the page is shown on, as far as its keys go. */

const MAC = { Ctrl: "⌘", Shift: "⇧", Control: "⌃", Enter: "↩", Esc: "esc" } as const;
/** In which order a Mac writes them; the key itself comes last. */
const ORDER = "⌃⇧⌘";

/** Whether it is one of Apple's. */
export function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform);
}

/**
 * Returns the keys of a shortcut as its system writes them.
 *
 * @param keys As in "Ctrl+Shift+O"; "Control" is the key of this name on a Mac, too.
 */
export function keysOf(keys: string, isOnMac = isMac()): string[] {
  const names = keys.split("+");
  if (!isOnMac) return names.map((name) => (name === "Control" ? "Ctrl" : name));
  const place = (sign: string) => (ORDER.includes(sign) ? ORDER.indexOf(sign) : ORDER.length);
  return names
    .map((name) => MAC[name as keyof typeof MAC] ?? name)
    .sort((a, b) => place(a) - place(b));
}

/** The same in one piece, for a sentence. */
export const shortcut = (keys: string, isOnMac = isMac()): string =>
  keysOf(keys, isOnMac).join(isOnMac ? "" : "+");
