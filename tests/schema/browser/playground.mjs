// Opens the playground at the URL given and runs its tabs; prints what a person would see, as JSON.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url, executablePath, screenshot] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "playground-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
  viewport: { width: 1400, height: 900 },
});
const page = await context.newPage();
const requests = new Set();
const problems = [];
page.on("request", (request) => requests.add(new URL(request.url()).origin));
page.on("websocket", (socket) => requests.add(new URL(socket.url()).origin));
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
page.on("pageerror", (error) => problems.push(String(error)));

async function open(name) {
  await page.locator(".graphiql-tab-button", { hasText: name }).click();
}
async function run() {
  await page.getByRole("button", { name: /Execute query/ }).click();
}
/** What the button does, and whether it shows that as a word. */
async function button() {
  return page.locator(".graphiql-execute-button").evaluate((element) => [
    element.getAttribute("aria-label"),
    getComputedStyle(element, "::after").content,
    getComputedStyle(element).backgroundColor,
  ]);
}
async function edit(text) {
  await page.locator(".graphiql-query-editor .CodeMirror").click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(text);
}
async function shown(text) {
  await page.locator(".graphiql-response").getByText(text).first().waitFor();
}

const outcome = { steps: [] };
const commands = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
try {
  await page.goto(`${url}/graphql`);
  await page.getByRole("button", { name: /Execute query/ }).waitFor();
  outcome.tabs = await page.locator(".graphiql-tab-button").allTextContents();
  for (const [tab, text] of [
    ["SignInAsGuest", "isGuest"],
    ["StartChat", "ses_"],
    ["Transcripts", "isCaughtUp"],
  ]) {
    await open(tab);
    await run();
    await shown(text);
    outcome.steps.push(tab);
  }
  // The test's agent comes when it is told to, and says something.
  console.log(JSON.stringify({ watching: true }));
  await shown("spoken while you watch");
  if (screenshot) await page.screenshot({ path: screenshot });
  outcome.watching = await button();
  await page.getByRole("button", { name: "Add tab" }).click();
  await page.getByRole("button", { name: /Execute query/ }).waitFor();
  outcome.added = await button();
  // What is said now belongs to no tab: the one that watched was left.
  console.log(JSON.stringify({ left: true }));
  await commands.next();
  await edit("query Mine { viewer { isGuest } }");
  await run();
  await shown("isGuest");
  outcome.ofAdded = await page.locator(".graphiql-response").textContent();
  await page.locator(".graphiql-tab", { hasText: "Mine" }).getByLabel("Close Tab").click();
  for (const [tab, text] of [
    ["SendMessage", "TYPED"],
    ["Save", "isSaved"],
    ["History", "totalCount"],
  ]) {
    await open(tab);
    await run();
    await shown(text);
    outcome.steps.push(tab);
  }
} catch (error) {
  outcome.error = String(error);
  if (screenshot) await page.screenshot({ path: screenshot });
}
outcome.origins = [...requests].filter((origin) => origin !== "null");
outcome.problems = problems;
console.log(JSON.stringify(outcome));
await context.close();
process.stdin.destroy();
rmSync(profile, { recursive: true, force: true });
