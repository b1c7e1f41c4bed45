"""Serves the wire's reply with grpc.aio: the same text and the same frames as the other servers.

    grpc_aio.py '{"sentences": …, "framesPerSentence": …, "frameMs": …, "paced": …}'

Prints the port that it listens on.
"""

import array
import asyncio
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import grpc
from client import load_messages

SAMPLE_RATE_HZ = 48_000


def record(samples):
    """A gliding tone: no frame is like another."""
    tone = (int(8000 * math.sin(at / 20 + at * at * 1e-9)) for at in range(samples))
    return array.array("h", tone).tobytes()


class Service:
    def __init__(self, plan):
        message_class = load_messages()
        self.request = message_class("StreamRequest")
        self.response = message_class("StreamResponse")
        self.chunk = message_class("AudioChunk")
        self.plan = plan
        self.samples = SAMPLE_RATE_HZ * plan["frameMs"] // 1000
        self.recording = record(self.samples * plan["framesPerSentence"])

    async def stream_audio(self, request, _context):
        loop = asyncio.get_running_loop()
        size = self.samples * 2
        for sentence in range(self.plan["sentences"]):
            text = f"Turn {request.prompt} says sentence {sentence + 1} aloud. "
            yield self.response(text_chunk=text)
            begun = loop.time()
            for frame in range(self.plan["framesPerSentence"]):
                if self.plan["paced"]:
                    due = begun + frame * self.plan["frameMs"] / 1000
                    await asyncio.sleep(due - loop.time())
                data = self.recording[frame * size : (frame + 1) * size]
                yield self.response(
                    audio_chunk=self.chunk(
                        audio_data=data,
                        dtype="int16",
                        shape=[self.samples],
                        sample_rate=SAMPLE_RATE_HZ,
                        channels=1,
                    )
                )
        yield self.response(end_message="done")

    def handler(self):
        stream_audio = grpc.unary_stream_rpc_method_handler(
            self.stream_audio,
            request_deserializer=self.request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        return grpc.method_handlers_generic_handler(
            "streaming.StreamingService", {"StreamAudio": stream_audio}
        )


async def main(plan):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Service(plan).handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
