import { parentPort } from "node:worker_threads";
import { type Codec, openOpus } from "./codec.ts";
import { openFlac } from "./flac.ts";
import { openMp3 } from "./mp3.ts";

/** What the thread encodes to. */
const codecs = { opus: openOpus, flac: openFlac, mp3: openMp3 } satisfies Readonly<
  Record<string, () => Codec | Promise<Codec>>
>;

/** The name of a codec. */
export type CodecName = keyof typeof codecs;

/** Asks the thread to encode sound, to end an encoder, or to free it. Encoders open when they are first asked. */
export type EncodeRequest =
  | { readonly id: number; readonly codec: CodecName; readonly pcm: Int16Array }
  | { readonly id: number; readonly codec: CodecName; readonly pcm?: never }
  | { readonly id: number; readonly codec?: never };

/** What became of the request: packets, or pieces of a file. Or why there is nothing. */
export type EncodeAnswer = {
  readonly id: number;
  readonly packets: readonly Uint8Array<ArrayBuffer>[];
  readonly error?: string;
};

const encoders = new Map<number, Codec>();
let last: Promise<unknown> = Promise.resolve();

// One after another: an encoder that is being opened is not to be freed before.
parentPort?.on("message", (request: EncodeRequest) => {
  last = last.then(() => (request.codec ? answer(request) : free(request.id)));
});

function free(id: number): void {
  encoders.get(id)?.free();
  encoders.delete(id);
}

async function answer(request: Exclude<EncodeRequest, { codec?: never }>): Promise<void> {
  const { id } = request;
  parentPort?.postMessage(
    await encode(request).then(
      (packets): EncodeAnswer => ({ id, packets }),
      (error: unknown): EncodeAnswer => ({
        id,
        packets: [],
        error: error instanceof Error ? error.message : "unknown",
      }),
    ),
  );
}

async function encode({ id, codec, pcm }: Exclude<EncodeRequest, { codec?: never }>) {
  const encoder = encoders.get(id) ?? (await codecs[codec]());
  encoders.set(id, encoder);
  return pcm ? encoder.encode(pcm) : encoder.end();
}
