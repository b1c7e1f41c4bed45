"""Calls a gateway with grpcio and prints what comes, a JSON document a line.

    client.py turn|through|interrupt HOST:PORT '{"hardware_id": …}'

A line is {"message": …}, a message in its JSON form, or, last, {"status": …} of a call that failed.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import grpc
from client import Gateway
from google.protobuf import json_format


def show(**line):
    print(json.dumps(line), flush=True)


def show_message(message):
    show(message=json_format.MessageToDict(message))


def main(command, address, request):
    fields = json.loads(request)
    with grpc.insecure_channel(address) as channel:
        gateway = Gateway(channel)
        if command == "interrupt":
            show_message(gateway.interrupt_session(**fields))
            return
        stream = gateway.stream_through if command == "through" else gateway.stream_audio
        for message in stream(**fields):
            show_message(message)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        code = error.code().name.replace("CANCELLED", "CANCELED").lower()
        trailers = dict(error.trailing_metadata() or ())
        show(status={"code": code, "details": error.details(), "reason": trailers.get("parley-reason")})
