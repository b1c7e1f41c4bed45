// Speaks sentences with the gateway's own neural voices into WAV files, for the training of the
// baseline. Standard input: one JSON object a line, {"voice", "text", "file"}, all of one voice in a
// row. A voice is dittli-en, dittli-de or the name of a kokoro voice. Arguments: the folder of
// kokoro's files, and a folder for the cache.
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createDittliEngine } from "../../server/local-tts/dittli/engine.ts";
import { createTextClauses } from "../../server/local-tts/english/clauses.ts";
import { normalizeGerman } from "../../server/local-tts/german/normalize.ts";
import { loadKokoroEngine } from "../../server/local-tts/kokoro/engine.ts";
import type { SpeechEngine } from "../../server/local-tts/worker/worker-main.ts";

type Job = { readonly voice: string; readonly text: string; readonly file: string };

const [kokoroFolder = "", cacheFolder = ""] = process.argv.slice(2);

function load(voice: string): Promise<SpeechEngine> {
  if (voice === "dittli-en") return createDittliEngine(cacheFolder, "en");
  if (voice === "dittli-de") return createDittliEngine(cacheFolder, "de");
  return loadKokoroEngine({ dir: kokoroFolder, voice });
}

function clausesOf(voice: string, text: string) {
  const normalize = voice === "dittli-de" ? { normalize: normalizeGerman } : {};
  return createTextClauses({ provider: voice, transliterate: true, ...normalize })(text);
}

function toWav(pieces: readonly Int16Array[], sampleRateHz: number): Buffer {
  const data = Buffer.concat(
    pieces.map((pcm) => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)),
  );
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRateHz, 24);
  header.writeUInt32LE(sampleRateHz * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}

let loaded = "";
let engine: SpeechEngine | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  const { voice, text, file }: Job = JSON.parse(line);
  if (!engine || loaded !== voice) {
    engine = await load(voice);
    loaded = voice;
  }
  const pieces: Int16Array[] = [];
  for (const clause of clausesOf(voice, text)) {
    pieces.push(await engine.speak(clause.text, clause.pauseMs));
  }
  writeFileSync(file, toWav(pieces, engine.sampleRateHz));
}
