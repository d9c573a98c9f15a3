/** Copying, by each way that a browser may offer. */

/** To be called within a click; says whether it worked. */
export async function copied(text: string): Promise<boolean> {
  try {
    // It is missing on a page that is not secure, and may be forbidden on any.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedAsEver(text);
  }
}

/** The same for a text that is still to come: the click counts until it is there. */
export async function copiedLater(text: Promise<string>): Promise<boolean> {
  try {
    const blob = text.then((given) => new Blob([given], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    return true;
  } catch {
    return copied(await text);
  }
}

/** Old, and out of favour, and the only way on a page that is not secure. */
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
    // Forbidden, too.
  }
  document.removeEventListener("copy", given);
  return isDone;
}

/** Marks what could not be copied, so that a person has only to press the keys for it. */
export function select(element: Element | null): void {
  if (element) getSelection()?.selectAllChildren(element);
}
