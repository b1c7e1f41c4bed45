// One call with another people's client library, unmodified, in a process of its own:
//
//   node client.mjs LIBRARY turn|interrupt URL REQUEST
//
// REQUEST is the request message in base64. Each message that the library hands over is printed as a
// line {"message": base64}; a call that fails ends with {"status": {"code", "message", "reason"}}.

const paths = {
  turn: { name: "StreamAudio", streams: true },
  interrupt: { name: "InterruptSession", streams: false },
};
const serviceName = "streaming.StreamingService";

/** The names of the codes as Connect spells them, by number. */
const codes =
  "ok canceled unknown invalid_argument deadline_exceeded not_found already_exists permission_denied resource_exhausted failed_precondition aborted out_of_range unimplemented internal unavailable data_loss unauthenticated".split(
    " ",
  );

class Failure extends Error {
  constructor(code, message, reason) {
    super(message);
    this.status = { code: codes[code] ?? String(code), message, reason };
  }
}

/** The bytes of a message pass through these libraries as they are. */
const asIs = (bytes) => bytes;

function definitionOf({ name, streams }) {
  return {
    call: {
      path: `/${serviceName}/${name}`,
      requestStream: false,
      responseStream: streams,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
      options: {},
    },
  };
}

async function* niceGrpc(url, method, request) {
  const { createChannel, createClient } = await import("nice-grpc");
  yield* nice(createClient, createChannel(url), { method, request });
}

async function* niceGrpcWeb(url, method, request) {
  const { createChannel, createClient } = await import("nice-grpc-web");
  yield* nice(createClient, createChannel(url), { method, request });
}

async function* nice(createClient, channel, { method, request }) {
  const client = createClient(definitionOf(method), channel);
  let reason;
  const onTrailer = (trailer) => {
    reason = trailer.get("parley-reason");
  };
  try {
    const answer = client.call(request, { onTrailer });
    if (method.streams) yield* answer;
    else yield await answer;
  } catch (error) {
    throw new Failure(error.code, error.details ?? error.message, reason);
  }
}

async function* improbable(url, method, request) {
  const { grpc } = (await import("@improbable-eng/grpc-web")).default;
  const { NodeHttpTransport } = await import("@improbable-eng/grpc-web-node-http-transport");
  /** A message as generated code would have it, as far as the library looks at it. */
  class Raw {
    constructor(bytes) {
      this.bytes = bytes;
    }
    serializeBinary() {
      return this.bytes;
    }
    toObject() {
      return {};
    }
    static deserializeBinary(bytes) {
      return new Raw(bytes);
    }
  }
  const descriptor = {
    methodName: method.name,
    service: { serviceName },
    requestStream: false,
    responseStream: method.streams,
    requestType: Raw,
    responseType: Raw,
  };
  yield* fromCallbacks(({ next, end }) =>
    grpc.invoke(descriptor, {
      host: url,
      request: new Raw(request),
      transport: NodeHttpTransport(),
      onMessage: ({ bytes }) => next(bytes),
      onEnd(code, message, trailers) {
        const [reason] = trailers.get("parley-reason");
        end(code === grpc.Code.OK ? undefined : new Failure(code, message, reason));
      },
    }),
  );
}

/** Makes an iterable of a library that calls back. */
async function* fromCallbacks(start) {
  const ready = [];
  let wake = () => undefined;
  const add = (step) => {
    ready.push(step);
    wake();
  };
  start({
    next: (value) => add({ value }),
    end: (error) => add({ error, done: true }),
  });
  while (true) {
    if (ready.length === 0) await new Promise((resolve) => (wake = resolve));
    const step = ready.shift();
    if (step.error) throw step.error;
    if (step.done) return;
    yield step.value;
  }
}

/** connect-es 1 reads the messages by the contract's own descriptors. */
function connect1(transportName, httpVersion) {
  return async function* (url, method, request) {
    const { readFileSync } = await import("node:fs");
    const { createRegistryFromDescriptors } = await import("@bufbuild/protobuf");
    const { createPromiseClient } = await import("@connectrpc/connect");
    const transports = await import("@connectrpc/connect-node");
    const contract = readFileSync(new URL("../../proto/baseline.binpb", import.meta.url));
    const service = createRegistryFromDescriptors(contract).findService(serviceName);
    const transport = transports[transportName]({ baseUrl: url, httpVersion });
    const client = createPromiseClient(service, transport);
    const call = client[method.name[0].toLowerCase() + method.name.slice(1)];
    const { I } = Object.values(service.methods).find(({ name }) => name === method.name);
    try {
      const answer = call(I.fromBinary(request));
      if (method.streams) for await (const message of answer) yield message.toBinary();
      else yield (await answer).toBinary();
    } catch (error) {
      throw new Failure(error.code, error.rawMessage, error.metadata?.get("parley-reason"));
    }
  };
}

const libraries = {
  "nice-grpc": niceGrpc,
  "nice-grpc-web": niceGrpcWeb,
  improbable,
  "connect-es-1-grpc": connect1("createGrpcTransport", "2"),
  "connect-es-1-grpc-web": connect1("createGrpcWebTransport", "1.1"),
  "connect-es-1-connect": connect1("createConnectTransport", "1.1"),
};

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [library, command, url, request] = process.argv.slice(2);
try {
  const messages = libraries[library](url, paths[command], Buffer.from(request, "base64"));
  for await (const bytes of messages) print({ message: Buffer.from(bytes).toString("base64") });
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  print({ status: error.status });
}
// Channels of some libraries would keep the process.
process.stdout.end(() => process.exit(0));
