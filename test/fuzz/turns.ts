import { setTimeout } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { createTranscript, type Transcript } from "../failover/transcript.ts";
import type { Plan } from "./plan.ts";
import { createFuzzModel, createFuzzVoice } from "./providers.ts";
import { createRandom } from "./random.ts";
import { readTones } from "./tones.ts";

const silentLog = { debug() {}, info() {}, warn() {}, error() {} };

/** The vendors' timeouts, divided by twenty. */
const settings = {
  GRPC_PORT: "0",
  HTTP_PORT: "0",
  STORAGE_ENABLED: "false",
  TEXT_TIMEOUT: "1.5",
  SPEECH_TIMEOUT: "0.75",
};

/** What a client got of a fuzzed turn, and what the voices know of it. */
type Outcome = {
  readonly heard: Transcript;
  /** Voices that broke off within their sound. */
  readonly handOvers: number;
  readonly left: boolean;
};

/** Runs a planned turn on a gateway of its own, over a real connection. Returns what is wrong. */
export async function findProblems(plan: Plan): Promise<readonly string[]> {
  const random = createRandom(plan.seed ^ 0x5eed);
  const voices = plan.voices.map((voice, at) =>
    createFuzzVoice(voice, plan.reply, { name: `voice-${at}`, random }),
  );
  const app = createApp(readConfig(settings), {
    languageModels: plan.models.map((model, at) =>
      createFuzzModel(model, plan.reply, `model-${at}`),
    ),
    synthesizers: voices,
    logger: silentLog,
  });
  const { grpc } = await app.start();
  try {
    const { heard, left } = await listen(`http://127.0.0.1:${grpc.port}`, plan);
    const handOvers = voices.reduce((sum, voice) => sum + voice.brokeOff(), 0);
    return judge(plan, { heard, left, handOvers });
  } finally {
    await app.stop();
  }
}

async function listen(baseUrl: string, { readerMs, bargeIn }: Plan) {
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
  const hardwareId = "6f1c0f0e-3c53-4f0f-9b0e-0d5d3f0f7a11";
  const transcript = createTranscript();
  const leave = new AbortController();
  let messages = 0;
  let left = false;
  try {
    const turn = client.streamAudio({ prompt: "Go.", hardwareId }, { signal: leave.signal });
    for await (const { content } of turn) {
      transcript.take(content);
      messages += 1;
      if (readerMs > 0) await setTimeout(readerMs);
      if (messages !== bargeIn?.after) continue;
      left = true;
      if (bargeIn.how === "interrupt") await client.interruptSession({ hardwareId });
      else leave.abort();
    }
  } catch (error) {
    transcript.fail(ConnectError.from(error));
  }
  return { heard: transcript.read(), left };
}

/** What breaks a promise of the gateway. */
function judge(plan: Plan, outcome: Outcome): readonly string[] {
  return [...judgeEnd(plan, outcome), ...judgeText(plan, outcome), ...judgeSound(plan, outcome)];
}

const canEndText = ({ models }: Plan) => models.at(-1)?.fault === undefined;
const canEndSpeech = ({ voices }: Plan) => voices.at(-1)?.faults.length === 0;

function* judgeEnd(plan: Plan, { heard, left }: Outcome): Generator<string> {
  const { status, end, errorMessage } = heard;
  const canEnd = canEndText(plan) && canEndSpeech(plan);
  if (left) {
    // A turn may have ended before the client left: well, or for want of a tier.
    const isCanceled = status === undefined || status.code === Code.Canceled;
    if (!isCanceled && canEnd) yield `left, but the status is ${status?.message}`;
  } else if (canEnd) {
    if (end !== "done" || status) yield `a tier could have ended it: ${status?.message}`;
  } else if ((status === undefined) !== (end === "done")) {
    yield "neither an end nor an error";
  }
  if (end !== undefined && errorMessage !== undefined) yield "both an end and an error";
}

function* judgeText(plan: Plan, { heard, left }: Outcome): Generator<string> {
  const { text } = plan.reply;
  if (!text.startsWith(heard.text)) yield `glued text: ${heard.text}`;
  if (!left && canEndText(plan) && heard.text !== text) yield `cut text: ${heard.text}`;
}

/** The pace of a voice that was never heard before is known to a tenth. */
const PACE_ERROR = 0.1;

function* judgeSound(plan: Plan, { heard, handOvers, left }: Outcome): Generator<string> {
  const { units } = plan.reply;
  const counts = new Array<number>(units.length).fill(0);
  let before = -1;
  let backwards = 0;
  for (const { index, isWhole } of readTones(heard.pcm, plan.reply)) {
    if (!isWhole) continue;
    counts[index] = (counts[index] ?? 0) + 1;
    if (index < before) backwards += 1;
    before = index;
  }
  const isExact = plan.voices.every(({ timings }) => timings === "honest");
  const allowed = isExact ? 0 : handOvers * Math.ceil(units.length * PACE_ERROR);
  const doubled = counts.reduce((sum, count) => sum + Math.max(0, count - 1), 0);
  const isWhole = !left && canEndText(plan) && canEndSpeech(plan);
  const lost = isWhole ? counts.filter((count) => count === 0).length : 0;
  if (backwards > allowed) yield `${backwards} units out of order, ${handOvers} hand-overs`;
  if (doubled + lost > allowed) {
    yield `${lost} units lost and ${doubled} doubled, ${handOvers} hand-overs`;
  }
}
