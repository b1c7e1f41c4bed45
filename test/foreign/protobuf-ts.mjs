// protobuf-ts over native gRPC, with message types written by hand.
import { ChannelCredentials, status } from "@grpc/grpc-js";
import { GrpcTransport } from "@protobuf-ts/grpc-transport";
import { MessageType, ScalarType } from "@protobuf-ts/runtime";
import { ServiceType } from "@protobuf-ts/runtime-rpc";

const field = (no, name, more = {}) => ({
  no,
  name,
  kind: "scalar",
  T: ScalarType.STRING,
  ...more,
});
const number = { T: ScalarType.INT32 };
const oneof = { oneof: "content" };

const StreamRequest = new MessageType("streaming.StreamRequest", [
  field(1, "prompt"),
  field(5, "hardware_id"),
  field(6, "session_id", { opt: true }),
]);
const AudioChunk = new MessageType("streaming.AudioChunk", [
  field(1, "audio_data", { T: ScalarType.BYTES }),
  field(2, "dtype"),
  field(3, "shape", { ...number, repeat: 1 }),
  field(4, "sample_rate", number),
  field(5, "channels", number),
]);
const StreamResponse = new MessageType("streaming.StreamResponse", [
  field(1, "text_chunk", oneof),
  { no: 2, name: "audio_chunk", kind: "message", T: () => AudioChunk, ...oneof },
  field(3, "end_message", oneof),
  field(4, "error_message", oneof),
]);
const InterruptRequest = new MessageType("streaming.InterruptRequest", [field(1, "hardware_id")]);
const InterruptResponse = new MessageType("streaming.InterruptResponse", [
  field(1, "success", { T: ScalarType.BOOL }),
  field(2, "interrupted_sessions", { repeat: 2 }),
  field(3, "message"),
]);

const { methods } = new ServiceType("streaming.StreamingService", [
  { name: "StreamAudio", serverStreaming: true, I: StreamRequest, O: StreamResponse, options: {} },
  { name: "InterruptSession", I: InterruptRequest, O: InterruptResponse, options: {} },
]);

export function open(url) {
  const channelCredentials = ChannelCredentials.createInsecure();
  const transport = new GrpcTransport({ host: new URL(url).host, channelCredentials });
  return async function* ({ name, streams, request }, abort) {
    const method = methods.find((candidate) => candidate.name === name);
    const options = transport.mergeOptions({ abort });
    const start = streams ? transport.serverStreaming : transport.unary;
    const call = start.call(transport, method, method.I.fromBinary(request), options);
    // They reject as well when the call fails, which is told once.
    for (const rest of [call.headers, call.status, call.trailers]) rest.catch(() => undefined);
    if (streams) for await (const message of call.responses) yield method.O.toBinary(message);
    else yield method.O.toBinary(await call.response);
  };
}

export function failureOf({ code, message, meta }) {
  return { code: status[code], message, reason: meta?.["parley-reason"] };
}
