"""A local agent in Python: what docs/agent.md describes, in one file. The gateway starts it:

    AGENT_COMMAND='["python3", "examples/agent-python/agent.py"]' npm start

Needs grpcio and protobuf (Debian: python3-grpcio, python3-protobuf). The messages are made of the
compiled contract while it runs, so that no generated code is needed.
"""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "neira.agent.PythonAgentService"
# PyInstaller unpacks data files to a folder of its own.
CONTRACT_DIR = Path(getattr(sys, "_MEIPASS", Path(__file__).resolve().parents[2] / "proto"))

# What the functions of CallCustomFunction do with their parameters.
FUNCTIONS = {
    "echo": lambda parameters: parameters.get("text", ""),
    "add": lambda parameters: str(float(parameters["a"]) + float(parameters["b"])).removesuffix(".0"),
    "functions": lambda parameters: ", ".join(FUNCTIONS),
}

pool = descriptor_pool.DescriptorPool()
for file in descriptor_pb2.FileDescriptorSet.FromString((CONTRACT_DIR / "baseline.binpb").read_bytes()).file:
    pool.AddSerializedFile(file.SerializeToString())


def message_class(descriptor):
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


class Agent:
    """One method for each RPC, of the same name. RPCs without one answer UNIMPLEMENTED."""

    def __init__(self):
        # Items by session and key. A real agent would limit how many it keeps.
        self.contexts = {}

    async def HealthCheck(self, request, context):
        return {"healthy": True, "message": "ready", "version": "1.0.0"}

    async def ProcessPrompt(self, request, context):
        return {"success": True, "response": await self.reply_to(request, context)}

    async def ProcessStreamingPrompt(self, request, context):
        reply = await self.reply_to(request, context)
        # In a turn that another model began, the last item is what the user has heard already.
        for item in request.context:
            if item.type == "prefix":
                reply = reply.removeprefix(item.value)
        for word in re.findall(r"\s*\S+", reply):
            # An interrupt cancels this coroutine here: a model has to be stopped then.
            await asyncio.sleep(0.005)
            yield {"delta": word}
        yield {"finished": True}

    async def reply_to(self, request, context):
        if not request.prompt.strip():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "prompt must not be blank")
        return f"You said: {request.prompt}"

    async def SetContext(self, request, context):
        kept = self.contexts.setdefault(request.session_id, {})
        kept.update({item.key: item for item in request.items})
        return {"success": True, "items": request.items}

    async def GetContext(self, request, context):
        kept = self.contexts.get(request.session_id, {}).values()
        return {"success": True, "items": [i for i in kept if not request.keys or i.key in request.keys]}

    async def CallCustomFunction(self, request, context):
        function = FUNCTIONS.get(request.function_name)
        if function is None:
            return {"success": False, "error": f"there is no function {request.function_name}"}
        try:
            return {"success": True, "result": function(request.parameters)}
        except (KeyError, ValueError) as error:
            return {"success": False, "error": f"wrong parameters: {error}"}


def handlers(agent):
    """The agent's methods as gRPC handlers."""
    found = {}
    for method in pool.FindServiceByName(SERVICE).methods:
        run = getattr(agent, method.name, None)
        if run is None:
            continue
        answer_class = message_class(method.output_type)
        codecs = {
            "request_deserializer": message_class(method.input_type).FromString,
            "response_serializer": lambda fields, make=answer_class: make(**fields).SerializeToString(),
        }
        # The descriptor says whether a method streams only in newer versions of protobuf.
        streams = method.name == "ProcessStreamingPrompt"
        make = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        found[method.name] = make(run, **codecs)
    return grpc.method_handlers_generic_handler(SERVICE, found)


async def main():
    address = os.environ["NEIRA_SOCKET_PATH"]
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(Agent()),))
    server.add_insecure_port(address if address.startswith("127.0.0.1:") else f"unix:{address}")
    await server.start()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        # The gateway keeps standard input open. Its end means that the gateway is gone.
        loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.read1(1024) or stop.set())
    print("AGENT_READY", flush=True)
    await stop.wait()
    await server.stop(grace=1)


if __name__ == "__main__":
    asyncio.run(main())
