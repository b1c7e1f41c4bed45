import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { samplesOf } from "../../server/core/audio/pcm.ts";
import { createWavReader } from "../../server/core/audio/wav.ts";
import { curlModes, hasCurl, post } from "../support/client-curl.ts";
import { startGateway } from "../support/gateway.ts";
import { runProgram } from "../support/program.ts";
import { PAUSED, WHOLE } from "../support/replies.ts";
import { readSpelling } from "../support/spelling-voice.ts";

const PAUSED_VOICE = PAUSED.sentences.join("");

// A file of open length ends with silence.
describe.runIf(hasCurl()).each(curlModes)("curl, $mode", ({ flag }) => {
  it("gets a turn as a WAV file", async () => {
    await using gateway = await startGateway();
    const { stdout, code } = await speak(gateway.url, { format: "wav" });
    expect(code).toBe(0);
    const reader = createWavReader();
    expect(readSpelling([reader.push(stdout)]).replace(/\0+$/, "")).toBe(WHOLE.reply);
    expect(reader.sampleRateHz).toBe(48_000);
  });

  it("gets a turn as a WAV file if it names no format", async () => {
    await using gateway = await startGateway();
    const { stdout } = await speak(gateway.url, {});
    const spelling = readSpelling([createWavReader().push(stdout)]);
    expect(spelling.replace(/\0+$/, "")).toBe(WHOLE.reply);
  });

  it("gets a turn as raw samples", async () => {
    await using gateway = await startGateway();
    const { stdout, code } = await speak(gateway.url, { format: "pcm" });
    expect(code).toBe(0);
    expect(readSpelling([samplesOf(stdout)])).toBe(WHOLE.reply);
  });

  it.each(["wav", "pcm"])("fails when a turn in %s is interrupted", async (format) => {
    await using gateway = await startGateway();
    const device = randomUUID();
    const fields = { format, prompt: PAUSED.prompt, hardware_id: device };
    const speaking = speak(gateway.url, fields);
    await gateway.untilSpoken(...PAUSED.sentences);
    const url = `${gateway.url}/streaming.StreamingService/InterruptSession`;
    await runProgram("curl", [flag, ...post(url, { hardware_id: device })]);
    const { stdout, code } = await speaking;
    expect(code).not.toBe(0);
    const pcm = format === "wav" ? createWavReader().push(stdout) : samplesOf(stdout);
    // What was still on its way when the connection broke off may be lost.
    expect(PAUSED_VOICE.startsWith(readSpelling([pcm]))).toBe(true);
  });

  it("interrupts with Connect's JSON, also when there is nothing to interrupt", async () => {
    await using gateway = await startGateway();
    const url = `${gateway.url}/streaming.StreamingService/InterruptSession`;
    const { stdout } = await runProgram("curl", [flag, ...post(url, { hardware_id: "a" })]);
    expect(JSON.parse(`${stdout}`)).toEqual({ success: true, message: "nothing was in progress" });
  });

  it("checks the health with Connect's GET", async () => {
    await using gateway = await startGateway();
    const query = "connect=v1&encoding=json&message=%7B%7D";
    const url = `${gateway.url}/grpc.health.v1.Health/Check?${query}`;
    const { stdout } = await runProgram("curl", [flag, "-sS", url]);
    expect(JSON.parse(`${stdout}`)).toEqual({ status: "SERVING" });
  });

  it("gets a status and JSON for a request that breaks a rule", async () => {
    await using gateway = await startGateway();
    const { stdout, code, stderr } = await speak(gateway.url, { hardware_id: "" });
    expect(code).toBe(22);
    expect(stderr).toContain("400");
    expect(JSON.parse(`${stdout}`).error).toMatchObject({
      code: "invalid_argument",
      field: "hardware_id",
    });
  });

  function speak(url: string, fields: object) {
    const body = { prompt: WHOLE.prompt, hardware_id: randomUUID(), ...fields };
    return runProgram("curl", [flag, ...post(`${url}/v1/speak`, body)]);
  }
});
