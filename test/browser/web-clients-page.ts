import type { Step } from "../support/client.ts";
import { grpcWebClients } from "../support/client-grpc-web.ts";
import { protobufTsClients } from "../support/client-protobuf-ts.ts";
import type { Gateway } from "../support/gateway.ts";

/** What the page tells its test of a step: sound by its bytes. */
export type Told = { readonly type: Step["type"]; readonly text: string; readonly bytes: number };

/** The function that the test gives to the page. */
type Tell = (told: Told) => Promise<void>;

/** Runs a turn in the page, and tells of each message as soon as the library hands it over. */
async function talk(name: string, url: string, prompt: string): Promise<void> {
  const client = [...grpcWebClients, ...protobufTsClients].find((each) => each.name === name);
  if (!client) throw new Error(`there is no client ${name}`);
  const { tell } = globalThis as unknown as { tell: Tell };
  const ask = { prompt, deviceId: crypto.randomUUID() };
  // Of a gateway, the clients for browsers know its URL alone.
  const steps = client.connect({ url } as Gateway).turn(ask, new AbortController().signal);
  for await (const step of steps) await tell(toTold(step));
}

function toTold(step: Step): Told {
  const bytes = step.type === "audio" ? step.chunk.bytes.byteLength : 0;
  const text = step.type === "text" ? step.text : step.type === "audio" ? "" : step.message;
  return { type: step.type, text, bytes };
}

Object.assign(globalThis, { talk });
