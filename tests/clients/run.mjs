// Runs the code block of a page in docs/clients: node run.mjs PAGE URL TOKEN SESSION
// Prints each shown utterance as one line of JSON. With SHOW_FAILS, `show` throws.
// On SIGTERM, Relay unsubscribes; the process then ends when the page's code has nothing left open.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { WebSocket } from "ws";

// Browsers have both; Node 20 has neither.
globalThis.WebSocket ??= WebSocket;
globalThis.CloseEvent ??= class CloseEvent extends Event {};

const [page, url, token, id] = process.argv.slice(2);
const block = /```js\n(.*?)```/s.exec(await readFile(page, "utf8"))[1];
// Next to the packages, so that its imports resolve.
const folder = new URL("./node_modules/.pages/", import.meta.url);
const file = new URL(`${process.pid}.mjs`, folder);
await mkdir(folder, { recursive: true });
await writeFile(file, block);
const client = await import(file).finally(() => rm(file));

const show = (utterances) => {
  if (process.env.SHOW_FAILS) throw new Error("the reader's own");
  utterances.forEach((one) => console.log(JSON.stringify(one)));
};
let isDisposed = false;
if (client.watch) await client.watch({ url, token, id, show });
else {
  const text = `subscription ($id: ID!, $after: String) { transcripts(sessionId: $id, after: $after) {
    cursor isCaughtUp utterances { id revision role text isFinal sortKey } end { reason mayResume } } }`;
  const request = { text, id: null, name: "Watch", operationKind: "subscription", metadata: {} };
  await new Promise((complete, error) => {
    const network = client.environment({ url, token }).getNetwork();
    const next = ({ data }) => show(data.transcripts.utterances);
    const stream = network.execute(request, { id }, { force: true }).subscribe({ next, error, complete });
    process.once("SIGTERM", () => {
      isDisposed = true;
      stream.unsubscribe();
      complete();
    });
  });
}
console.log(JSON.stringify("over"));
if (!isDisposed) process.exit(0);
