"""One turn with Python's grpcio: the text goes to the terminal, the voice into a WAV file.

    python3 examples/client.py "say: Hello from Python." hello.wav

Needs grpcio and protobuf (Debian: python3-grpcio, python3-protobuf). The messages are made of the
compiled contract while it runs, so that no generated code is needed.
"""

import sys
import time
import uuid
import wave
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# How long the gateway keeps a turn for a client that lost its connection.
GRACE_SECONDS = 30
RETRY_SECONDS = 0.2
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

    def stream_through(self, **fields):
        """Runs a turn whose messages come once each, also through lost connections.

        The gateway keeps the turn for 30 s. Closing the iterator ends the turn.
        """
        fields = {"turn_id": str(uuid.uuid4()), **fields, "resumable": True}
        last, lost_at, failed = 0, None, False
        ended = False
        try:
            while not ended:
                position = {"resume_after": last} if last else {}
                try:
                    for message in self.stream_audio(**fields, **position):
                        last, lost_at = message.sequence or last, None
                        failed = message.WhichOneof("content") == "error_message"
                        yield message
                    ended = True
                except grpc.RpcError as error:
                    lost_at = lost_at or time.monotonic()
                    ended = failed or not is_lost(error)
                    if ended or not last or time.monotonic() - lost_at > GRACE_SECONDS:
                        raise
                    time.sleep(RETRY_SECONDS)
        finally:
            # To the gateway, a call that is cancelled is a lost connection.
            if not ended:
                turn = {"hardware_id": fields["hardware_id"], "turn_id": fields["turn_id"]}
                try:
                    self.interrupt_session(**turn)
                except grpc.RpcError:
                    pass

    def interrupt_session(self, **fields):
        """Silences a device. Answers an InterruptResponse."""
        return self._interrupt_session(self.message_class("InterruptRequest")(**fields))


def is_lost(error):
    """True if the connection broke; the gateway says why it ends a turn itself."""
    if any(key == "parley-reason" for key, _ in error.trailing_metadata() or ()):
        return False
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


def main(prompt, path, address="127.0.0.1:50051"):
    with grpc.insecure_channel(address) as channel, wave.open(path, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(48_000)
        turn = Gateway(channel).stream_through(prompt=prompt, hardware_id=str(uuid.uuid4()))
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
