"""One turn with Python's grpcio: the text goes to the terminal, the voice into a WAV file.

    python3 examples/client.py "say: Hello from Python." hello.wav

Needs grpcio and protobuf (Debian: python3-grpcio, python3-protobuf). The messages are made of the
compiled contract while it runs, so that no generated code is needed.
"""

import sys
import uuid
import wave
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

CONTRACT = Path(__file__).resolve().parent.parent / "proto" / "baseline.binpb"


def load_messages():
    """Answers a function that gives the class of a message: message_class("StreamRequest")."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(CONTRACT.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())

    def message_class(name):
        descriptor = pool.FindMessageTypeByName(f"streaming.{name}")
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(descriptor)
        return message_factory.MessageFactory(pool).GetPrototype(descriptor)

    return message_class


class Gateway:
    """The service of proto/streaming/streaming.proto over a channel."""

    def __init__(self, channel):
        self.message_class = load_messages()
        path = "/streaming.StreamingService"
        self._stream_audio = channel.unary_stream(
            f"{path}/StreamAudio",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self.message_class("StreamResponse").FromString,
        )
        self._interrupt_session = channel.unary_unary(
            f"{path}/InterruptSession",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self.message_class("InterruptResponse").FromString,
        )

    def stream_audio(self, **fields):
        """Runs a turn. Iterate over what it answers; its cancel() ends the turn."""
        return self._stream_audio(self.message_class("StreamRequest")(**fields))

    def interrupt_session(self, **fields):
        """Silences a device. Answers an InterruptResponse."""
        return self._interrupt_session(self.message_class("InterruptRequest")(**fields))


def main(prompt, path, address="127.0.0.1:50051"):
    with grpc.insecure_channel(address) as channel, wave.open(path, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(48_000)
        turn = Gateway(channel).stream_audio(prompt=prompt, hardware_id=str(uuid.uuid4()))
        for message in turn:
            content = message.WhichOneof("content")
            if content == "text_chunk":
                print(message.text_chunk, end="", flush=True)
            elif content == "audio_chunk":
                wav.writeframes(message.audio_chunk.audio_data)
        print()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: client.py PROMPT FILE.wav [HOST:PORT]")
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
