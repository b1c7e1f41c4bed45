import { fromBinary } from "@bufbuild/protobuf";
import { StreamResponseSchema, type WordTiming } from "../../gen/streaming/streaming_pb.ts";

const headerBytes = 5;
// gRPC-Web marks the trailer's envelope with 0x80, Connect the last one with 0x02.
const lastFlags = 0x82;

/** The words' timings that the body of a StreamAudio response tells, in order, over both protocols. */
export function readToldWords(body: Buffer): readonly WordTiming[] {
  const words: WordTiming[] = [];
  for (let at = 0; at < body.length; ) {
    const begin = at + headerBytes;
    const end = begin + body.readUInt32BE(at + 1);
    if ((body.readUInt8(at) & lastFlags) === 0) {
      const { content } = fromBinary(StreamResponseSchema, body.subarray(begin, end));
      if (content.case === "audioChunk") words.push(...content.value.words);
    }
    at = end;
  }
  return words;
}
