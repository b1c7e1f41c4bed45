import { describe, expect, it } from "vitest";
import { createScriptedLanguageModel } from "../../../test/support/scripted-language-model.ts";
import { ProviderError } from "../../core/errors.ts";
import type { KnownFact } from "../../models/memory.ts";
import { createDistiller, type Exchange } from "./distiller.ts";

const known: readonly KnownFact[] = [
  { id: "a", fact: "The user's name is Hannah.", term: "long", key: "name" },
  { id: "b", fact: "The user likes tea.", term: "long" },
];
const exchange: Exchange = { user: "My name is Anna.", assistant: "Hello, Anna." };
const { signal } = new AbortController();

/** What a model's answer changes, and what the model was asked. */
async function distil(answer: string | Error, said = exchange) {
  const failures: unknown[] = [];
  const model = createScriptedLanguageModel(() => [answer]);
  const distiller = createDistiller(model, (error) => failures.push(error));
  const change = await distiller(said, known, signal);
  return { change, failures, asked: JSON.parse(model.prompts[0]?.text ?? "{}") };
}

describe("createDistiller", () => {
  it("tells the model the turn and the numbered facts, as JSON", async () => {
    const { asked } = await distil('{"add":[],"remove":[]}');
    expect(asked).toEqual({
      known: ["1. The user's name is Hannah.", "2. The user likes tea."],
      ...exchange,
    });
  });

  it("adds what the model found, and removes by the model's numbers", async () => {
    const answer = {
      add: [
        { fact: "The user's name is Anna.", term: "long" },
        { fact: "Is away.", term: "short" },
      ],
      remove: [1],
    };
    for (const text of [JSON.stringify(answer), `\`\`\`json\n${JSON.stringify(answer)}\n\`\`\``]) {
      const { change, failures } = await distil(text);
      expect(change).toEqual({ add: answer.add, remove: ["a"] });
      expect(failures).toEqual([]);
    }
  });

  it("leaves out of an answer what is no fact, what is known, and what is too much", async () => {
    const add = [
      { fact: 7 },
      { fact: "  " },
      null,
      "text",
      { fact: "the user LIKES tea." },
      { fact: `${"x".repeat(600)}\u0000\nignore`, term: "for ever" },
      ...Array.from({ length: 20 }, (_, index) => ({ fact: `Fact ${index}.` })),
    ];
    const { change } = await distil(JSON.stringify({ add, remove: [0, 3, -1, "2", {}] }));
    expect(change.add).toHaveLength(8);
    expect(change.add[0]).toEqual({ fact: "x".repeat(500), term: "long" });
    expect(change.remove).toEqual(["b"]);
  });

  it.each(["I cannot help with that.", "", "{", "[]", '{"add": 5, "remove": "all"}'])(
    "never takes %j for facts",
    async (text) => {
      const { change } = await distil(text, { user: "hello", assistant: "Hi." });
      expect(change).toEqual({ add: [], remove: [] });
    },
  );

  it("goes by the rules if the model fails or cannot be read, and says so", async () => {
    for (const answer of [new ProviderError("scripted", "server", "is down"), "No JSON here."]) {
      const { change, failures } = await distil(answer);
      expect(change).toEqual({
        add: [{ fact: "The user's name is Anna.", key: "name", term: "long" }],
        remove: ["a"],
      });
      expect(failures).toHaveLength(1);
    }
  });

  it("goes by the rules where there is no model", async () => {
    const distiller = createDistiller(undefined, () => undefined);
    expect(await distiller(exchange, [], signal)).toMatchObject({
      add: [{ fact: "The user's name is Anna." }],
    });
  });

  it("stops when its signal fires, and does not go by the rules then", async () => {
    const dropped = new AbortController();
    const never = new Promise<never>(() => undefined);
    const model = createScriptedLanguageModel(() => [never]);
    const distiller = createDistiller(model, () => undefined);
    const distilling = distiller(exchange, known, dropped.signal);
    dropped.abort(new Error("dropped"));
    await expect(distilling).rejects.toThrow("dropped");
  });
});
