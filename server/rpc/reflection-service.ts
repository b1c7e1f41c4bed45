import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import type {
  ServerReflection,
  ServerReflectionRequest,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import type {
  ServerReflectionRequest as AlphaRequest,
  ServerReflection as ServerReflectionAlpha,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { LimitExceeded } from "../core/errors.ts";
import { type HoldStream, holdStream } from "./connection-key.ts";
import { toStatus } from "./status.ts";

/** The parts of server reflection. */
export type ReflectionOptions = {
  /** The services that it tells of. */
  readonly services: readonly DescService[];
  /** Counts a stream until the returned function is called. Throws `LimitExceeded`. */
  readonly holdStream: HoldStream;
};

/** Server reflection, v1 and v1alpha: the contract of the services, from the generated descriptors. */
export function createReflectionServices(options: ReflectionOptions): {
  readonly v1: ServiceImpl<typeof ServerReflection>;
  readonly v1alpha: ServiceImpl<typeof ServerReflectionAlpha>;
} {
  const contract = indexContract(options.services);
  return {
    v1: {
      async *serverReflectionInfo(requests, context) {
        holdStream(context, options.holdStream);
        for await (const request of counted(requests)) {
          yield { ...answer(contract, request), originalRequest: request };
        }
      },
    },
    v1alpha: {
      async *serverReflectionInfo(requests, context) {
        holdStream(context, options.holdStream);
        for await (const request of counted(requests)) {
          yield { ...answer(contract, request), originalRequest: request };
        }
      },
    },
  };
}

/** Questions of one stream. Tools ask for each file once; an answer is many times its question. */
const MAX_QUESTIONS = 1000;

async function* counted<Request>(requests: AsyncIterable<Request>): AsyncGenerator<Request> {
  let count = 0;
  for await (const request of requests) {
    count += 1;
    if (count > MAX_QUESTIONS) {
      throw toStatus(new LimitExceeded(`a stream may ask ${MAX_QUESTIONS} questions`, "questions"));
    }
    yield request;
  }
}

/** The contract, as clients ask for it. */
type Contract = {
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  /** The file of each service, method, message, field, enum and value, by full name. */
  readonly symbols: ReadonlyMap<string, DescFile>;
};

function indexContract(services: readonly DescService[]): Contract {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  for (const { file } of services) add(file);
  const symbols = [...files.values()].flatMap((file) =>
    symbolsOf(file).map((name) => [name, file] as const),
  );
  return {
    services: services.map(({ typeName }) => typeName).sort(),
    files,
    symbols: new Map(symbols),
  };
}

function symbolsOf(file: DescFile): readonly string[] {
  return [...nestedTypes(file)].flatMap((type) => {
    const within = (names: readonly { readonly name: string }[], scope = type.typeName) =>
      names.map(({ name }) => `${scope}.${name}`);
    switch (type.kind) {
      case "service":
        return [type.typeName, ...within(type.methods)];
      case "message":
        return [type.typeName, ...within(type.fields), ...within(type.oneofs)];
      case "enum":
        // The values of an enum belong to the scope around it.
        return [type.typeName, ...within(type.values, type.typeName.replace(/\.?[^.]+$/, ""))];
      default:
        return [type.typeName];
    }
  });
}

/** What both versions of the protocol answer. */
function answer(contract: Contract, request: ServerReflectionRequest | AlphaRequest) {
  return { validHost: request.host, messageResponse: respond(contract, request.messageRequest) };
}

function respond(
  { services, files, symbols }: Contract,
  asked: (ServerReflectionRequest | AlphaRequest)["messageRequest"],
) {
  switch (asked.case) {
    case "listServices": {
      const service = services.map((name) => ({ name }));
      return { case: "listServicesResponse", value: { service } } as const;
    }
    case "fileByFilename":
      return filesOf(files.get(asked.value), asked.value);
    case "fileContainingSymbol":
      return filesOf(symbols.get(asked.value.replace(/^\./, "")), asked.value);
    case "allExtensionNumbersOfType": {
      if (!symbols.has(asked.value)) return failure(Code.NotFound, `no type ${asked.value} here`);
      const value = { baseTypeName: asked.value, extensionNumber: [] };
      return { case: "allExtensionNumbersResponse", value } as const;
    }
    case "fileContainingExtension":
      return failure(Code.NotFound, "there are no extensions here");
    default:
      return failure(Code.InvalidArgument, "message_request is required");
  }
}

function filesOf(file: DescFile | undefined, name: string) {
  if (file === undefined) return failure(Code.NotFound, `nothing named ${name} here`);
  const all = new Set<DescFile>();
  const add = (each: DescFile) => {
    all.add(each);
    each.dependencies.forEach(add);
  };
  add(file);
  const fileDescriptorProto = [...all].map(encode);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } } as const;
}

const encoded = new WeakMap<DescFile, Uint8Array>();

/** A file in binary, made once. */
function encode(file: DescFile): Uint8Array {
  const bytes = encoded.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
  encoded.set(file, bytes);
  return bytes;
}

function failure(errorCode: Code, errorMessage: string) {
  return { case: "errorResponse", value: { errorCode, errorMessage } } as const;
}
