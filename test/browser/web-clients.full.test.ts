import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installed as hasForeignPackages } from "../support/client-foreign.ts";
import { grpcWebClients } from "../support/client-grpc-web.ts";
import { protobufTsClients } from "../support/client-protobuf-ts.ts";
import { startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { SAMPLES_A_LETTER } from "../support/spelling-voice.ts";
import { openBrowser } from "./browser.ts";
import type { Told } from "./web-clients-page.ts";

type Client = { readonly name: string; readonly missing?: boolean };

const clients: readonly Client[] = [
  ...[...grpcWebClients, ...protobufTsClients].filter((client) => !client.collects),
  // Those of test/foreign/page.mjs.
  ...[
    "nice-grpc-web",
    "@improbable-eng/grpc-web",
    "connect-web 1, gRPC-Web",
    "connect-web 1, Connect",
  ].map((name) => ({ name, missing: !hasForeignPackages })),
];
const first = "One moment. ";
const last = ["That", " was all."] as const;

let browser: Browser;
let scripts: readonly string[];
/** Serves an empty page of another origin than the gateway's, so that CORS has its say. */
let site: Server;

beforeAll(async () => {
  const entries = ["web-clients-page.ts", hasForeignPackages && "../foreign/page.mjs"];
  scripts = await Promise.all(entries.filter((entry) => entry !== false).map(bundle));
  site = createServer((_, response) => {
    response
      .writeHead(200, { "content-type": "text/html" })
      .end("<!doctype html><title>site</title>");
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  site?.close();
});

describe.for(clients)("$name in Chromium, on a page of another origin", ({ name, missing }) => {
  const it = test.skipIf(missing);

  it("hears the first message before the last is made", async () => {
    const heardFirst = Promise.withResolvers<void>();
    await using gateway = await startGateway({
      languageModels: [createScriptedLanguageModel([first, last[0], heardFirst.promise, last[1]])],
    });
    const told: Told[] = [];
    const page = await openPage((step) => {
      told.push(step);
      // The model says no more until the page has the whole first sentence.
      if (soundOf(told) === bytesOf(first)) heardFirst.resolve();
    });
    await page.evaluate(`talk(${JSON.stringify(name)}, ${JSON.stringify(gateway.url)}, "Go.")`);
    expect(told.map(({ type, text }) => (type === "audio" ? "" : text)).join("")).toBe(
      `${first}${last.join("")}done`,
    );
    expect(told.at(-1)).toMatchObject({ type: "end", text: "done" });
    expect(soundOf(told)).toBe(bytesOf(first + last.join("")));
    await page.context().close();
  });

  it("learns why a call failed", async () => {
    await using gateway = await startGateway();
    const page = await openPage(() => undefined);
    const talk = page.evaluate(
      `talk(${JSON.stringify(name)}, ${JSON.stringify(gateway.url)}, " ")`,
    );
    // Each library spells the code its own way.
    await expect(talk).rejects.toThrow(
      /invalid_?argument: prompt is required and must not be blank/i,
    );
    await page.context().close();
  });
});

async function openPage(tell: (told: Told) => void): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await page.exposeFunction("tell", tell);
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
  for (const content of scripts) await page.addScriptTag({ content });
  return page;
}

function soundOf(told: readonly Told[]): number {
  return told.reduce((sum, { bytes }) => sum + bytes, 0);
}

function bytesOf(text: string): number {
  return 2 * SAMPLES_A_LETTER * text.length;
}

/** A file and what it imports as one script for a page. */
async function bundle(path: string): Promise<string> {
  const entry = fileURLToPath(new URL(path, import.meta.url));
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, lib: { entry, formats: ["iife"], name: "clients" } },
  });
  const [result] = Array.isArray(built) ? built : [built];
  if (!result || !("output" in result)) throw new Error("the clients cannot be bundled");
  return result.output[0].code;
}
