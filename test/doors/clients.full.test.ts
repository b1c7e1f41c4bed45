import { afterEach, describe, expect, it } from "vitest";
import { ProviderError } from "../../server/core/errors.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../support/gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { createScriptedLanguageModel, type ReplyStep } from "../support/scripted-language-model.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { type DoorClient, doorClients, type Piece } from "./clients.ts";
import { createTimedVoice, readSpelled24 } from "./spelled.ts";

const REPLY = "One is here. Two is there. Three is gone. Four is late.";
const never = new Promise<never>(() => undefined);
const open: Gateway[] = [];

afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.stop();
});

async function start(options: GatewayOptions = {}) {
  const gateway = await startGateway(options);
  open.push(gateway);
  return gateway;
}

/** A model that answers with the steps. */
const answering = (...steps: readonly ReplyStep[]) => [createScriptedLanguageModel(steps)];

type Got = { readonly text: string; readonly spelled: string; readonly pieces: number };

/** Runs a client to the end of its reply. `onPiece` hears how many pieces it has. */
async function collect(
  client: DoorClient,
  gateway: Gateway,
  { words = "Go.", signal = new AbortController().signal, onPiece = (_count: number) => {} } = {},
): Promise<Got> {
  const pieces: Piece[] = [];
  for await (const piece of client.run(`${gateway.httpUrl}/v1`, words, signal)) {
    pieces.push(piece);
    onPiece(pieces.length);
  }
  const sound = pieces.flatMap((piece) => (piece.type === "sound" ? [piece.bytes] : []));
  return {
    text: pieces.map((piece) => (piece.type === "text" ? piece.text : "")).join(""),
    spelled: readSpelled24(Buffer.concat(sound)),
    pieces: pieces.length,
  };
}

/** What a client of this door gets of a reply. */
function expectReply(client: DoorClient, { text, spelled }: Got, reply: string) {
  if (client.door !== "speech") expect(text).toBe(reply);
  if (client.door !== "chat") expect(spelled).toBe(reply);
}

/** Waits until a number of pieces has come. */
function createGate() {
  let count = 0;
  const waiting: { readonly from: number; readonly open: () => void }[] = [];
  return {
    note(pieces: number) {
      count = pieces;
      for (const { from, open } of waiting) if (from <= count) open();
    },
    until(from: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ from, open: resolve });
      if (from <= count) resolve();
      return promise;
    },
  };
}

describe.each(doorClients)("$name", (client) => {
  const isSpeech = client.door === "speech";

  it("gets a whole reply", async () => {
    const gateway = await start({ languageModels: answering(REPLY) });
    const got = await collect(client, gateway, { words: isSpeech ? REPLY : "Go." });
    expectReply(client, got, REPLY);
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ done: 1 });
  });

  itUnless(client.collects)("gets three chunks at least before the reply's end", async () => {
    const gate = createGate();
    // Each sentence waits for the client to have the one before it.
    const spoken = ["Two is there.", "Three is gone.", "Four is late."];
    const gateOf = (text: string) => {
      const index = spoken.indexOf(text.trim());
      return isSpeech && index >= 0 ? gate.until(index + 1) : undefined;
    };
    const steps = ["One is here. T", "wo is there. T", "hree is gone. F", "our is late."];
    const gateway = await start({
      languageModels: answering(...steps.flatMap((step, at) => [gate.until(at), step])),
      synthesizers: [createSpellingVoice({ gate: gateOf })],
    });
    const words = isSpeech ? REPLY : "Go.";
    const got = await collect(client, gateway, { words, onPiece: gate.note });
    expectReply(client, got, REPLY);
    expect(got.pieces).toBeGreaterThan(3);
  });

  it("stops the tiers when it cancels", async () => {
    const languageModel = createScriptedLanguageModel(["One is here. T", never]);
    const voice = createSpellingVoice({ gate: (text) => (text === "Wait." ? never : undefined) });
    const gateway = await start({ languageModels: [languageModel], synthesizers: [voice] });
    const aborter = new AbortController();
    const words = isSpeech ? "One is here. Wait." : "Go.";
    const run = collect(client, gateway, {
      words,
      signal: aborter.signal,
      onPiece: () => aborter.abort(),
    });
    if (client.collects) {
      await expect.poll(() => voice.texts, { timeout: 5000 }).toContain("Wait.");
      aborter.abort();
    }
    await expect(run).rejects.toThrow();
    await gateway.untilIdle();
    expect(isSpeech ? voice.cancels() : languageModel.cancels()).toBe(1);
    const outcome = client.door === "realtime" ? "interrupted" : "disconnected";
    expect(gateway.status().turns).toEqual({ [outcome]: 1 });
  });

  it("understands an error", async () => {
    const down = new ProviderError("scripted", "server", "is down for a while");
    const gateway = await start({
      languageModels: answering(down),
      synthesizers: [createSpellingVoice({ gate: () => Promise.reject(down) })],
    });
    await expect(collect(client, gateway)).rejects.toThrow(/is down for a while/);
  });

  it("notices nothing of a failover in mid-sentence", async () => {
    const gateway = await start({
      languageModels: [
        createScriptedLanguageModel(["One is", new ProviderError("scripted", "server", "x")]),
        createScriptedLanguageModel([" here. Two is there."], "second"),
      ],
      synthesizers: isSpeech
        ? [createTimedVoice({ breaksAfter: 6 }), createSpellingVoice()]
        : [createSpellingVoice()],
    });
    const reply = "One is here. Two is there.";
    const got = await collect(client, gateway, { words: isSpeech ? reply : "Go." });
    expectReply(client, got, reply);
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ done: 1 });
    expect(gateway.status().failovers).toContainEqual(expect.objectContaining({ midway: true }));
  });
});
