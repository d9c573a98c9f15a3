/** What can go wrong between this page and the server, told apart by what a person can do. */

export type FailureKind =
  | "network"
  | "timeout"
  | "signed-out"
  | "forbidden"
  | "not-found"
  | "invalid"
  | "conflict"
  | "busy"
  | "server";

export interface Failure {
  kind: FailureKind;
  /** The server's own words, where it has said something. */
  message: string;
  /** The input at fault, as in `["input", "email"]`. */
  field?: readonly (string | number)[];
}

const KINDS: Record<string, FailureKind> = {
  BAD_USER_INPUT: "invalid",
  UNAUTHENTICATED: "signed-out",
  FORBIDDEN: "forbidden",
  NOT_FOUND: "not-found",
  CONFLICT: "conflict",
  RATE_LIMITED: "busy",
  QUOTA_EXCEEDED: "busy",
  AGENT_UNAVAILABLE: "busy",
};

export interface GraphQLErrorLike {
  message: string;
  extensions?: Record<string, unknown> | undefined;
}

/** Turns an error of an answer into a failure. A code this page does not know is the server's. */
export function fromGraphQL(error: GraphQLErrorLike): Failure {
  const code = String(error.extensions?.["code"] ?? "");
  const field = error.extensions?.["field"];
  return {
    kind: KINDS[code] ?? "server",
    message: error.message,
    ...(Array.isArray(field) ? { field } : {}),
  };
}

/** Turns a status without a GraphQL answer into a failure; 0 is no answer at all. */
export function fromStatus(status: number, message = ""): Failure {
  if (status === 0) return { kind: "network", message };
  if (status === 401) return { kind: "signed-out", message };
  if (status === 403) return { kind: "forbidden", message };
  if (status === 404) return { kind: "not-found", message };
  if (status === 429) return { kind: "busy", message };
  if (status === 413 || status === 400 || status === 415) return { kind: "invalid", message };
  return { kind: "server", message };
}
