// nice-grpc and nice-grpc-web, whose definitions of methods are the same.
const serviceName = "streaming.StreamingService";
const libraries = {
  grpc: () => import("nice-grpc"),
  "grpc-web": () => import("nice-grpc-web"),
};

/** These libraries leave reading and writing of messages to the definition, so bytes pass as they are. */
const asIs = (bytes) => bytes;

const define = (name, responseStream) => ({
  path: `/${serviceName}/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
  options: {},
});

const definition = {
  StreamAudio: define("StreamAudio", true),
  InterruptSession: define("InterruptSession", false),
};

/** `parley-reason` of each call that failed: the library hands the trailers over apart from the error. */
const reasons = new WeakMap();

export async function open(url, variant) {
  const { createChannel, createClient } = await libraries[variant]();
  const client = createClient(definition, createChannel(url));
  return async function* ({ name, streams, request }, signal) {
    let reason;
    const onTrailer = (trailer) => {
      reason = trailer.get("parley-reason");
    };
    try {
      const answer = client[name](request, { signal, onTrailer });
      if (streams) yield* answer;
      else yield await answer;
    } catch (error) {
      reasons.set(error, reason);
      throw error;
    }
  };
}

/** A cancel of one's own is no status here but an AbortError. */
export function failureOf(error) {
  if (error.name === "AbortError") return { code: 1, message: error.message };
  return { code: error.code, message: error.details ?? String(error), reason: reasons.get(error) };
}
