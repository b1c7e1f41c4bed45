"""Asks a gateway for the scores of an object with grpcio, and prints what comes as JSON.

    analyze.py HOST:PORT BUCKET KEY [NAME=VALUE ...]

The rest is metadata. A line is {"message": …}, or {"status": …} of a call that failed.
"""

import json
import sys
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

CONTRACT = Path(__file__).resolve().parents[2] / "proto" / "baseline.binpb"


def message_class(name):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(CONTRACT.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindMessageTypeByName(f"audioanalyzer.{name}")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def main(address, bucket, key, *metadata):
    with grpc.insecure_channel(address) as channel:
        analyze = channel.unary_unary(
            "/audioanalyzer.AudioAnalysis/AnalyzeAudio",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=message_class("AnalyzeAudioResponse").FromString,
        )
        request = message_class("AnalyzeAudioRequest")(minio_bucket_name=bucket, minio_object_key=key)
        pairs = [tuple(pair.split("=", 1)) for pair in metadata]
        answer = analyze(request, timeout=300, metadata=pairs)
    print(json.dumps({"message": json_format.MessageToDict(answer, preserving_proto_field_name=True)}))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        print(json.dumps({"status": {"code": error.code().name, "details": error.details()}}))
