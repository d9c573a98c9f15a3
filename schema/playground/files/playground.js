"use strict";
// GraphiQL on our own endpoint, over HTTP and graphql-transport-ws, with the cookie of this origin.

const url = location.origin + location.pathname;
const send = GraphiQL.createFetcher({
  url,
  subscriptionUrl: url.replace(/^http/, "ws"),
  enableIncrementalDelivery: false,
});

// Where the other windows of this browser find it too.
const STARTED = "voxql:started";

// Without https, on any host but this machine, browsers have no crypto.randomUUID.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "playground-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function filledIn(variables) {
  const filled = { ...variables };
  if (filled.sessionId === LATEST) {
    filled.sessionId = localStorage.getItem(STARTED);
  }
  if (filled.key === NEW) {
    filled.key = newKey();
  }
  return filled;
}

// GraphiQL reads a tab a moment after it is opened. A click before that would run the
// operation under the name and the kind of the tab before.
function upToDate(request, options) {
  const found = [...request.query.matchAll(/^\s*(query|mutation|subscription)\s+(\w+)/gm)];
  const names = found.map(([, , name]) => name);
  if (found.length !== 1 || names.includes(request.operationName)) {
    return [request, options];
  }
  const [[, operation, operationName]] = found;
  const name = { kind: "Name", value: operationName };
  const definition = { kind: "OperationDefinition", operation, name };
  const documentAST = { kind: "Document", definitions: [definition] };
  return [{ ...request, operationName }, { ...options, documentAST }];
}

async function answer(...given) {
  const [request, options] = upToDate(...given);
  const variables = filledIn(request.variables);
  if (variables.sessionId === null) {
    return { errors: [{ message: "Start a chat first: run the tab StartChat." }] };
  }
  const answered = await send({ ...request, variables }, options);
  const started = answered?.data?.startNewChat?.session?.id;
  if (started) {
    localStorage.setItem(STARTED, started);
  }
  return answered;
}

// When a tab is added, GraphiQL leaves the operation of the tab before running: the new tab would
// get its answers, and a button that stops it where people look for the one that runs theirs. So
// what belongs to a tab that is left ends here; for GraphiQL, it ends without an answer.
const NOTHING = { async *[Symbol.asyncIterator]() {} };
let inFront = null;
let leave = () => {};

function onTabChange({ tabs, activeTabIndex }) {
  const { id } = tabs[activeTabIndex];
  if (id !== inFront) {
    inFront = id;
    leave();
  }
}

function fetcher(request, options) {
  if (request.operationName === "IntrospectionQuery") {
    return answer(request, options);
  }
  const left = new Promise((resolve) => {
    leave = resolve;
  });
  const answered = answer(request, options);
  left.then(() => answered).then((stream) => stream?.return?.(), () => {});
  return Promise.race([answered, left.then(() => NOTHING)]);
}

const tabs = EXAMPLES.map((example) => ({
  query: example.query,
  variables: example.variables && JSON.stringify(example.variables, null, 2),
}));

ReactDOM.createRoot(document.getElementById("playground")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: tabs,
    onTabChange,
    defaultEditorToolsVisibility: "variables",
    inputValueDeprecation: true,
    // A token typed into Headers is gone with the page.
    shouldPersistHeaders: false,
  }),
);
