import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { readMediaType } from "../core/media-type.ts";
import { webTextTypes } from "./grpc-web-text.ts";
import { type Refusal, refuseAsConnect, refuseAsGrpc, refuseAsGrpcWeb } from "./refusals.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** Answers a request that no RPC takes, and returns false; true if somebody else is to answer it. */
export type Negotiate = (request: Request, response: Response) => boolean;

/**
 * Creates the check in front of the RPC adapter, which would refuse without a word. What is refused
 * is refused in the caller's own protocol: an unknown service or method is UNIMPLEMENTED; another
 * HTTP method than the RPC takes is 405 and another media type 415, with a body that names what is
 * taken. The media type of what goes on is written in lower case and without parameters, so that
 * nobody behind has to read it again.
 */
export function createNegotiation(services: readonly DescService[]): Negotiate {
  const calls = new Map(services.flatMap(({ methods }) => methods.map(callOf)));
  const names = new Set(services.map(({ typeName }) => typeName));
  return (request, response) => {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    const type = readMediaType(request.headers["content-type"]);
    const call = calls.get(path);
    if (!call) return !refuseUnknown({ path, query, type, names }, request, response);
    const refusal = findRefusal(call, request.method, type, query);
    if (refusal) refuseAsConnect(response, refusal);
    else request.headers["content-type"] = request.method === "GET" ? "" : type;
    return refusal === undefined;
  };
}

/** What an RPC takes. */
type Call = {
  readonly path: string;
  readonly methods: readonly string[];
  readonly types: readonly string[];
};

const grpcTypes = ["", "+proto", "+json"].map((codec) => `application/grpc${codec}`);
const webTypes = ["", "+proto", "+json"].map((codec) => `application/grpc-web${codec}`);
const unaryTypes = ["application/proto", "application/json"];
const streamTypes = ["application/connect+proto", "application/connect+json"];

function callOf(method: DescMethod): [string, Call] {
  const isUnary = method.methodKind === "unary";
  const isSafe = isUnary && method.idempotency === Idempotency.NO_SIDE_EFFECTS;
  const path = `/${method.parent.typeName}/${method.name}`;
  const connectTypes = isUnary ? unaryTypes : streamTypes;
  return [
    path,
    {
      path,
      methods: isSafe ? ["GET", "POST"] : ["POST"],
      types: [...connectTypes, ...grpcTypes, ...webTypes, ...webTextTypes],
    },
  ];
}

function findRefusal(
  { path, methods, types }: Call,
  method = "",
  type: string | undefined,
  query: string,
): Refusal | undefined {
  if (!methods.includes(method)) {
    const message = `${path} takes ${methods.join(" and ")} only`;
    return { status: 405, code: "unimplemented", message, allow: methods.join(", ") };
  }
  const unsupported = (message: string) =>
    ({ status: 415, code: "invalid_argument", message }) as const;
  if (method === "GET") {
    const encoding = new URLSearchParams(query).get("encoding") ?? "";
    if (["json", "proto"].includes(encoding)) return undefined;
    return unsupported("the parameter encoding must be json or proto");
  }
  if (type !== undefined && types.includes(type)) return undefined;
  return unsupported(`content-type must be one of ${types.join(", ")}`);
}

/** A path that is no RPC's, and who asks for it. */
type Unknown = {
  readonly path: string;
  readonly query: string;
  readonly type: string | undefined;
  readonly names: ReadonlySet<string>;
};

/** Refuses what can only be meant for an RPC; the rest may be meant for another route. */
function refuseUnknown(unknown: Unknown, request: Request, response: Response): boolean {
  const { path, query, type = "", names } = unknown;
  const [, service = "", method = ""] = /^\/([\w.]{1,200})\/(\w{1,100})$/.exec(path) ?? [];
  const message = names.has(service)
    ? `${service} has no method ${method}`
    : `there is no service ${service}`.trimEnd();
  if (request.method === "POST" && /^application\/grpc-web(-text)?(\+|$)/.test(type)) {
    refuseAsGrpcWeb(response, type, message);
    return true;
  }
  if (request.method === "POST" && /^application\/grpc(\+|$)/.test(type)) {
    refuseAsGrpc(response, type, message);
    return true;
  }
  const isConnect =
    names.has(service) ||
    /^application\/(connect\+|proto$)/.test(type) ||
    "connect-protocol-version" in request.headers ||
    new URLSearchParams(query).get("connect") === "v1";
  if (isConnect) refuseAsConnect(response, { status: 404, code: "unimplemented", message });
  return isConnect;
}
