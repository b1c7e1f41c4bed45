import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { COMPRESSED_FLAG } from "../core/envelope.ts";
import { readMediaType } from "../core/http.ts";
import { webTextTypes } from "./grpc-web-text.ts";
import { isGrpc, isGrpcWeb, type Refusal, refuse, refuseAsConnect } from "./refusals.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** Answers a request that is no valid RPC and returns false. Returns true for all other requests. */
export type Negotiate = (request: Request, response: Response) => boolean;

/**
 * Creates the check in front of the RPC adapter, which refuses without a body. A refusal comes in the
 * caller's own protocol: UNIMPLEMENTED for an unknown service or method, 405 for a wrong HTTP method
 * and 415 for a wrong media type, with a message that names the right ones. The media type of a valid
 * RPC is rewritten in lower case and without parameters.
 */
export function createNegotiation(services: readonly DescService[]): Negotiate {
  const calls = new Map(services.flatMap(({ methods }) => methods.map(callOf)));
  const names = new Map(
    services.map(({ typeName, methods }) => [typeName, methods.map(({ name }) => name)]),
  );
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

/** What an RPC accepts. */
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
    return { status: 405, code: Code.Unimplemented, message, allow: methods.join(", ") };
  }
  const unsupported = (message: string) =>
    ({ status: 415, code: Code.InvalidArgument, message }) as const;
  if (method === "GET") {
    const encoding = new URLSearchParams(query).get("encoding") ?? "";
    if (["json", "proto"].includes(encoding)) return undefined;
    return unsupported("the parameter encoding must be json or proto");
  }
  if (type !== undefined && types.includes(type)) return undefined;
  return unsupported(`content-type must be one of ${types.join(", ")}`);
}

/** A request whose path belongs to no RPC. */
type Unknown = {
  readonly path: string;
  readonly query: string;
  readonly type: string | undefined;
  /** The methods of each service. */
  readonly names: ReadonlyMap<string, readonly string[]>;
};

/** Refuses a request that can only be an RPC. Any other may belong to an HTTP route. */
function refuseUnknown(unknown: Unknown, request: Request, response: Response): boolean {
  const { path, query, type = "", names } = unknown;
  const [, service = "", method = ""] = /^\/([\w.]{1,200})\/(\w{1,100})$/.exec(path) ?? [];
  const known = names.get(service);
  const message = known
    ? `${service} has no method ${method}; it has ${known.join(", ")}`
    : `there is no service ${service}`.trimEnd();
  const refusal: Refusal = { status: 404, code: Code.Unimplemented, message };
  if (request.method === "POST" && (isGrpc(type) || isGrpcWeb(type))) {
    refuse(request, response, refusal);
    return true;
  }
  const isConnect =
    known !== undefined ||
    /^application\/(connect\+|proto$)/.test(type) ||
    "connect-protocol-version" in request.headers ||
    new URLSearchParams(query).get("connect") === "v1";
  if (isConnect) refuseAsConnect(response, refusal);
  return isConnect;
}

/** How the messages of a request body are packed. */
export type BodyForm = {
  /** Streams and gRPC send envelopes. The body of a unary Connect call is the bare message. */
  readonly enveloped: boolean;
  /** gRPC-Web's text form: the whole body is base64. */
  readonly base64?: true;
  readonly json: boolean;
  readonly encodingHeader: string;
  /** The flags that an envelope may have. */
  readonly flags: number;
};

const END_STREAM_FLAG = 2;
const TRAILER_FLAG = 0x80;

/** The form that a media type stands for, as `createNegotiation` writes it; undefined for others. */
export function bodyForm(contentType = ""): BodyForm | undefined {
  if (webTextTypes.includes(contentType)) {
    return { ...envelopes(false, "grpc-encoding", TRAILER_FLAG), base64: true };
  }
  const [, type, codec] =
    /^application\/(?:(grpc-web|grpc|connect)(?![\w-]))?\+?([\w-]+)?/.exec(contentType) ?? [];
  const json = codec === "json";
  switch (type) {
    case "connect":
      return envelopes(json, "connect-content-encoding", END_STREAM_FLAG);
    case "grpc-web":
      return envelopes(json, "grpc-encoding", TRAILER_FLAG);
    case "grpc":
      return envelopes(json, "grpc-encoding", 0);
    default:
      if (!json && codec !== "proto") return undefined;
      return { enveloped: false, json, encodingHeader: "content-encoding", flags: 0 };
  }
}

function envelopes(json: boolean, encodingHeader: string, endFlag: number): BodyForm {
  return { enveloped: true, json, encodingHeader, flags: COMPRESSED_FLAG | endFlag };
}
