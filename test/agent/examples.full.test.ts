import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  ContextRequestSchema,
  DesktopClickRequestSchema,
  GetContextRequestSchema,
  PromptRequestSchema,
} from "../../gen/neira/agent/agent_pb.ts";
import { hasPython, PYTHON } from "../support/client-python.ts";
import { exampleCommand, methods, never, startAgent } from "./agents.ts";

const entry = fileURLToPath(new URL("../../examples/agent-python/agent.py", import.meta.url));
const agents = [
  { name: "in TypeScript", argv: exampleCommand() },
  ...(hasPython() ? [{ name: "in Python", argv: [PYTHON, entry] }] : []),
];

describe.each(agents)("the example of an agent $name", ({ argv }) => {
  const caller = { signal: never };

  it("answers prompts, keeps context and runs functions", async () => {
    await using test = startAgent(argv);
    await test.untilState("ready");
    const { agent } = test;
    const prompt = create(PromptRequestSchema, { prompt: "one two" });
    const reply = await agent.unary(methods.processPrompt, prompt, caller);
    expect(reply).toMatchObject({ success: true, response: "You said: one two" });
    const streamed = await Array.fromAsync(
      agent.stream(methods.processStreamingPrompt, prompt, caller),
    );
    expect(streamed.map(({ delta }) => delta).join("")).toBe("You said: one two");
    expect(streamed.at(-1)?.finished).toBe(true);
    expect(streamed.length).toBeGreaterThan(3);

    const item = { key: "name", value: "Ada", type: "text" };
    const other = { key: "city", value: "London", type: "text" };
    const items = create(ContextRequestSchema, { sessionId: "s", items: [item, other] });
    await agent.unary(methods.setContext, items, caller);
    const read = async (keys: readonly string[]) => {
      const request = create(GetContextRequestSchema, { sessionId: "s", keys: [...keys] });
      return (await agent.unary(methods.getContext, request, caller)).items;
    };
    expect(await read([])).toMatchObject([item, other]);
    expect(await read(["city"])).toMatchObject([other]);

    expect(await test.run("add", { a: "2", b: "3" })).toBe("5");
    expect(await test.run("functions")).toBe("echo, add, functions");
  });

  it("goes on behind what the user has heard", async () => {
    await using test = startAgent(argv);
    await test.untilState("ready");
    const prompt = create(PromptRequestSchema, {
      prompt: "one two",
      context: [{ key: "assistant", value: "You said: one", type: "prefix" }],
    });
    const steps = await Array.fromAsync(
      test.agent.stream(methods.processStreamingPrompt, prompt, caller),
    );
    expect(steps.map(({ delta }) => delta).join("")).toBe(" two");
  });

  it("refuses a blank prompt, and a method that it lacks", async () => {
    await using test = startAgent(argv);
    await test.untilState("ready");
    const { agent } = test;
    const blank = agent.unary(methods.processPrompt, create(PromptRequestSchema), caller);
    await expect(blank).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: "prompt must not be blank",
    });
    const click = create(DesktopClickRequestSchema);
    await expect(agent.unary(methods.desktopClick, click, caller)).rejects.toMatchObject({
      code: Code.Unimplemented,
    });
  });

  it("stops by itself before it would be killed", async () => {
    const test = startAgent(argv, { times: { stopGraceMs: 30_000 } });
    await test.untilState("ready");
    const begunMs = performance.now();
    await test.agent.stop();
    expect(performance.now() - begunMs).toBeLessThan(10_000);
  });
});
