import { once } from "node:events";
import { Agent, request } from "node:http";
import { WebSocket } from "ws";
import { nowMs } from "../clock.ts";
import type { Device } from "../device.ts";
import { type ReplyPlan, sentencesOf } from "../reply.ts";
import type { Size } from "../size.ts";
import { percentile } from "../stats.ts";
import { type Figure, gatewayAlone, type Scenario } from "./scenario.ts";

const plan: ReplyPlan = { sentences: 1, framesPerSentence: 5, frameMs: 96, paced: false };

/** Asks for a text to be spoken; resolves with the milliseconds to the first sound. */
type Ask = (text: string) => Promise<number>;

/** The time to the first sound by each of OpenAI's routes, beside StreamAudio's own. */
export function doors(size: Size): Scenario {
  return {
    title: "Time to first audio by OpenAI's door",
    about: `Text and voice take no time. ${size.lonelyTurns} turns by each way, one after the other, in turn. StreamAudio and /v1/audio/speech speak a text as it stands; Realtime asks the model for it. The ratios are to StreamAudio.`,
    variants: gatewayAlone,
    repeats: 1,
    plan,
    async measure({ server, open, signal }) {
      const [device] = await open(1);
      if (!device) throw new Error("no device is connected");
      const realtime = await openRealtime(server.url);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const ways: readonly (readonly [string, Ask])[] = [
        ["StreamAudio", (text) => askStream(device, text, signal)],
        ["/v1/audio/speech, pcm", (text) => askSpeech(server.url, text, agent)],
        ["/v1/realtime", realtime.ask],
      ];
      const times = ways.map((): number[] => []);
      let turn = 0;
      for (let round = 0; round < size.lonelyTurns + WARM_UP; round++) {
        for (const [index, [, ask]] of ways.entries()) {
          turn += 1;
          const ms = await ask(sentencesOf(plan, String(turn)).join(""));
          if (round >= WARM_UP) times[index]?.push(ms);
        }
      }
      realtime.close();
      agent.destroy();
      return figuresOf(
        ways.map(([name]) => name),
        times,
      );
    },
  };
}

const WARM_UP = 50;

function figuresOf(names: readonly string[], times: readonly (readonly number[])[]): Figure[] {
  const medians = times.map((each) => percentile(each, 0.5));
  return names.flatMap((name, index) => {
    const value = medians[index] ?? 0;
    const ratio = { name: `${name} ÷ StreamAudio`, value: value / (medians[0] ?? 1) };
    return [{ name: `${name}, p50, ms`, value }, ...(index > 0 ? [ratio] : [])];
  });
}

async function askStream({ client, id }: Device, text: string, signal: AbortSignal) {
  const begunMs = nowMs();
  let afterMs: number | undefined;
  const greeting = { hardwareId: id, prompt: `__GREETING__:${text}` };
  for await (const { content } of client.streamAudio(greeting, { signal })) {
    if (content.case === "audioChunk") afterMs ??= nowMs() - begunMs;
  }
  return afterMs ?? Number.NaN;
}

async function askSpeech(url: string, input: string, agent: Agent): Promise<number> {
  const body = JSON.stringify({ model: "tts-1", voice: "alloy", input, response_format: "pcm" });
  const begunMs = nowMs();
  const asked = request(`${url}/v1/audio/speech`, {
    method: "POST",
    agent,
    headers: { "content-type": "application/json" },
  });
  asked.end(body);
  const [response] = await once(asked, "response");
  let afterMs: number | undefined;
  for await (const _ of response) afterMs ??= nowMs() - begunMs;
  return afterMs ?? Number.NaN;
}

async function openRealtime(url: string) {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/realtime`);
  await once(socket, "open");
  const send = (event: object) => socket.send(JSON.stringify(event));
  const ask: Ask = async (text) => {
    const begunMs = nowMs();
    let afterMs: number | undefined;
    const done = new Promise<void>((resolve) => {
      const take = (data: Buffer) => {
        const { type } = JSON.parse(`${data}`);
        if (type === "response.output_audio.delta") afterMs ??= nowMs() - begunMs;
        if (type !== "response.done") return;
        socket.off("message", take);
        resolve();
      };
      socket.on("message", take);
    });
    const content = [{ type: "input_text", text }];
    send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    send({ type: "response.create" });
    await done;
    return afterMs ?? Number.NaN;
  };
  return { ask, close: () => socket.close() };
}
