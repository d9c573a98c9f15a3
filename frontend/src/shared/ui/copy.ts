/** Copies text in every way that a browser may offer. */

/** Copies a text; call within a click. Returns whether it worked. */
export async function copied(text: string): Promise<boolean> {
  try {
    // The clipboard is missing on an insecure page and may be blocked on any.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedAsEver(text);
  }
}

/** Copies a text that is still loading: the click stays valid until it arrives. */
export async function copiedLater(text: Promise<string>): Promise<boolean> {
  try {
    const blob = text.then((given) => new Blob([given], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    return true;
  } catch {
    return copied(await text);
  }
}

/** Deprecated, but the only way on an insecure page. */
function copiedAsEver(text: string): boolean {
  let isDone = false;
  const given = (event: ClipboardEvent) => {
    event.preventDefault();
    event.clipboardData?.setData("text/plain", text);
    isDone = event.clipboardData !== null;
  };
  document.addEventListener("copy", given);
  try {
    document.execCommand("copy");
  } catch {
    // Blocked, too.
  }
  document.removeEventListener("copy", given);
  return isDone;
}

/** Selects text that could not be copied, so that the person only has to press the keys. */
export function select(element: Element | null): void {
  if (element) getSelection()?.selectAllChildren(element);
}
