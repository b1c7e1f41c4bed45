import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { fromJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StreamResponseSchema } from "../../gen/streaming/streaming_pb.ts";
import { samplesOf } from "../../server/core/audio/pcm.ts";
import { createWavReader } from "../../server/core/audio/wav.ts";
import { hasPython, PYTHON } from "../support/client-python.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { readSpelling } from "../support/spelling-voice.ts";

const REPLY = Array.from({ length: 10 }, (_, at) => `This is sentence ${at} of a reply.`).join(" ");
/** Cuts the first connections after so many bytes of the answer. */
const CUTS = [9_000, 60_000, 200_000];

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));

/** Runs a program against a gateway whose first connections are cut. Answers what it wrote. */
async function runCut(program: string, argsOf: (url: string) => readonly string[]) {
  await using gateway = await startGateway();
  await using proxy = await startCuttingProxy(gateway.grpcPort);
  const limits = [...CUTS];
  const next = () => proxy.cutAfter(limits.shift() ?? Number.POSITIVE_INFINITY);
  next();
  proxy.onCut(next);
  const child = spawn(program, argsOf(proxy.url), { stdio: ["ignore", "pipe", "pipe"] });
  const output = Promise.all([child.stdout.toArray(), text(child.stderr), once(child, "close")]);
  const [pieces, stderr, [code]] = await output;
  expect({ code, cuts: proxy.cuts() }, stderr).toEqual({ code: 0, cuts: CUTS.length });
  expectOneTurn(gateway);
  return { stdout: Buffer.concat(pieces), stderr };
}

function expectOneTurn(gateway: Gateway) {
  expect(gateway.spoken.join("")).toBe(REPLY);
}

describe("npm run say", () => {
  it.each(["grpc", "grpc-web", "connect"])(
    "brings each word once through lost connections, in %s",
    async (protocol) => {
      const args = ["--quiet", "--out", "-", "--protocol", protocol, "--to"];
      const { stdout, stderr } = await runCut(process.execPath, (url) => [
        pathOf("examples/say.ts"),
        ...args,
        url,
        REPLY,
      ]);
      expect(readSpelling([createWavReader().push(stdout)])).toBe(REPLY);
      expect(stderr).toBe(`${REPLY}\n`);
    },
  );
});

describe("the example in Python", () => {
  itUnless(!hasPython())("brings each word once through lost connections", async () => {
    const request = { prompt: REPLY, hardware_id: "device" };
    const { stdout } = await runCut(PYTHON, (url) => [
      pathOf("test/python/client.py"),
      "through",
      new URL(url).host,
      JSON.stringify(request),
    ]);
    const messages = stdout
      .toString()
      .trim()
      .split("\n")
      .map((line) => fromJson(StreamResponseSchema, JSON.parse(line).message));
    const sound = messages.flatMap(({ content }) =>
      content.case === "audioChunk" ? [samplesOf(content.value.audioData)] : [],
    );
    expect(readSpelling(sound)).toBe(REPLY);
    expect(messages.at(-1)?.content.value).toBe("done");
  });
});
