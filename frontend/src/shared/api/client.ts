/** The GraphQL client: urql for requests over HTTP, graphql-ws for streams over one WebSocket. */
import { type AnyVariables, Client, type CombinedError, fetchExchange } from "@urql/core";
import { createClient as createSocket, type Client as SocketClient } from "graphql-ws";
import { onEnd, pipe, subscribe, take } from "wonka";

import { type Failure, fromGraphQL, fromStatus, type GraphQLErrorLike } from "./failure.ts";
import type { TypedDocumentString } from "./generated/graphql.ts";

/** How long a person waits for an answer before a timeout is reported. */
export const PATIENCE_MS = 10_000;

export class Failed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message || failure.kind);
    this.failure = failure;
  }
}

/** The failure that an error stands for; unexpected errors count as network failures. */
export function failureOf(error: unknown): Failure {
  return error instanceof Failed ? error.failure : { kind: "network", message: String(error) };
}

export interface Sink<T> {
  next(value: T): void;
  /** The stream is over: refused or lost, or at its end if `failure` is null. */
  done(failure: Failure | null): void;
}

export interface Api {
  query<R, V>(document: TypedDocumentString<R, V>, variables: V): Promise<R>;
  mutate<R, V>(document: TypedDocumentString<R, V>, variables: V): Promise<R>;
  /** Sends a mutation while the page unloads; nobody waits for its result. */
  leave<R, V>(document: TypedDocumentString<R, V>, variables: V): void;
  /** Returns a function that ends the stream. A stream never reconnects by itself, because only its
   * reader knows the cursor to resume from. */
  stream<R, V>(document: TypedDocumentString<R, V>, variables: V, sink: Sink<R>): () => void;
  /** Drops the connection, which belongs to the login that opened it. */
  reconnect(): void;
}

/** @param silent Called when the path to the server is dead; other connections share it. */
export function createApi(
  origin: string,
  fetcher: typeof fetch = fetch,
  silent: () => void = () => {},
): Api {
  const url = `${origin}/graphql`;
  const client = new Client({
    url,
    exchanges: [fetchExchange],
    fetch: fetcher,
    requestPolicy: "network-only",
    preferGetMethod: false,
  });
  const socket = createSocket({
    url: url.replace(/^http/, "ws"),
    retryAttempts: 0,
    lazy: true,
    // Detects a half-open connection after sleep or a network change within 25 s.
    keepAlive: 10_000,
    connectionAckWaitTimeout: PATIENCE_MS,
  });
  dropWhenSilent(socket, silent);

  const ask = <R, V>(kind: "query" | "mutation", document: unknown, variables: V): Promise<R> =>
    answered<R>((given) =>
      client[kind](String(document), given as AnyVariables, { fetchSubscriptions: false }),
    )(variables);

  return {
    query: (document, variables) => ask("query", document, variables),
    mutate: (document, variables) => ask("mutation", document, variables),
    leave(document, variables) {
      const body = JSON.stringify({ query: String(document), variables });
      const headers = { "content-type": "application/json" };
      void fetcher(url, { method: "POST", headers, body, keepalive: true }).catch(() => {});
    },
    stream<R, V>(document: TypedDocumentString<R, V>, variables: V, sink: Sink<R>) {
      return subscribed<R>(socket, String(document), variables as Record<string, unknown>, sink);
    },
    reconnect: () => socket.terminate(),
  };
}

type Source = ReturnType<Client["query"]>;

function answered<R>(source: (variables: unknown) => Source) {
  return (variables: unknown): Promise<R> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        running.unsubscribe();
        reject(new Failed({ kind: "timeout", message: "" }));
      }, PATIENCE_MS);
      const running = pipe(
        source(variables),
        take(1),
        onEnd(() => clearTimeout(timer)),
        subscribe((result) => {
          clearTimeout(timer);
          if (result.error) reject(new Failed(whatFailed(result.error)));
          else resolve(result.data as R);
        }),
      );
    });
}

function whatFailed(error: CombinedError): Failure {
  const [first] = error.graphQLErrors;
  if (first) return fromGraphQL(first as GraphQLErrorLike);
  const response = error.response as Response | undefined;
  return fromStatus(response?.status ?? 0, error.networkError?.message);
}

function subscribed<R>(
  socket: SocketClient,
  query: string,
  variables: Record<string, unknown>,
  sink: Sink<R>,
): () => void {
  let isOver = false;
  const finish = (failure: Failure | null) => {
    if (isOver) return;
    isOver = true;
    sink.done(failure);
  };
  const stop = socket.subscribe<R>(
    { query, variables },
    {
      next(result) {
        if (isOver) return;
        const [error] = result.errors ?? [];
        if (error) finish(fromGraphQL(error as GraphQLErrorLike));
        else if (result.data) sink.next(result.data);
      },
      error(error) {
        const [first] = Array.isArray(error) ? error : [];
        finish(first ? fromGraphQL(first) : lost(error));
      },
      complete: () => finish(null),
    },
  );
  return () => {
    isOver = true;
    stop();
  };
}

function lost(error: unknown): Failure {
  const code = error instanceof CloseEvent ? error.code : 0;
  return { kind: code === 4403 ? "signed-out" : "network", message: `closed ${code}` };
}

/** Ends a connection whose ping stays unanswered, such as after a laptop's sleep. */
function dropWhenSilent(socket: SocketClient, silent: () => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  socket.on("ping", (received) => {
    if (received) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      socket.terminate();
      silent();
    }, 8_000);
  });
  socket.on("pong", () => clearTimeout(timer));
  socket.on("closed", () => clearTimeout(timer));
}
