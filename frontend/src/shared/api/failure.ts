/** Failures between this page and the server, classified by what a person can do about them. */

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
  /** The server's message, if any. */
  message: string;
  /** The path of the input at fault, such as `["input", "email"]`. */
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

/** Converts a GraphQL error into a failure. Unknown codes count as server failures. */
export function fromGraphQL(error: GraphQLErrorLike): Failure {
  const code = String(error.extensions?.["code"] ?? "");
  const field = error.extensions?.["field"];
  return {
    kind: KINDS[code] ?? "server",
    message: error.message,
    ...(Array.isArray(field) ? { field } : {}),
  };
}

/** Converts an HTTP status without a GraphQL response into a failure; 0 means no response. */
export function fromStatus(status: number, message = ""): Failure {
  if (status === 0) return { kind: "network", message };
  if (status === 401) return { kind: "signed-out", message };
  if (status === 403) return { kind: "forbidden", message };
  if (status === 404) return { kind: "not-found", message };
  if (status === 429) return { kind: "busy", message };
  if (status === 413 || status === 400 || status === 415) return { kind: "invalid", message };
  return { kind: "server", message };
}
