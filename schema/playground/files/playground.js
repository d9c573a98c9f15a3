"use strict";
// GraphiQL on our own endpoint, over HTTP and graphql-transport-ws, with the cookie of this origin.

const url = location.origin + "/graphql";
const send = GraphiQL.createFetcher({
  url,
  subscriptionUrl: url.replace(/^http/, "ws"),
  enableIncrementalDelivery: false,
});

let started = null;

// Without https, on any host but this machine, browsers have no crypto.randomUUID.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "playground-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function filledIn(variables) {
  const filled = { ...variables };
  if (filled.sessionId === LATEST) {
    filled.sessionId = started;
  }
  if (filled.key === NEW) {
    filled.key = newKey();
  }
  return filled;
}

async function fetcher(request, options) {
  const variables = filledIn(request.variables);
  if (variables.sessionId === null) {
    return { errors: [{ message: "Start a chat first: run the tab StartChat." }] };
  }
  const answer = await send({ ...request, variables }, options);
  started = answer?.data?.startNewChat?.session?.id ?? started;
  return answer;
}

const tabs = EXAMPLES.map((example) => ({
  query: example.query,
  variables: example.variables && JSON.stringify(example.variables, null, 2),
}));

ReactDOM.createRoot(document.getElementById("playground")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: tabs,
    defaultEditorToolsVisibility: "variables",
    inputValueDeprecation: true,
    // A token typed into Headers is gone with the page.
    shouldPersistHeaders: false,
  }),
);
