/** Parses the server's search results. */

/** The parts of a snippet; every second one is marked. */
export function marked(snippet: string): string[] {
  return snippet.split(/<\/?mark>/).map(plain);
}

const ENTITIES: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

function plain(html: string): string {
  return html.replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity] ?? entity);
}
