import { parentPort } from "node:worker_threads";
import { loadCodec, PACKET_SAMPLES, type PacketEncoder } from "./codec.ts";

/** Asks the thread to encode whole packets, or to free an encoder. Encoders open at their first sound. */
export type OpusRequest =
  | { readonly id: number; readonly pcm: Int16Array }
  | { readonly id: number; readonly pcm?: never };

/** The packets of the encoder's last sound, or why there are none. */
export type OpusAnswer = {
  readonly id: number;
  readonly packets: readonly Uint8Array<ArrayBuffer>[];
  readonly error?: string;
};

const open = loadCodec();
const encoders = new Map<number, PacketEncoder>();

parentPort?.on("message", ({ id, pcm }: OpusRequest) => {
  if (pcm) parentPort?.postMessage(answer(id, pcm));
  else {
    encoders.get(id)?.free();
    encoders.delete(id);
  }
});

function answer(id: number, pcm: Int16Array): OpusAnswer {
  try {
    const encoder = encoders.get(id) ?? open();
    encoders.set(id, encoder);
    const packets: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at < pcm.length; at += PACKET_SAMPLES) {
      packets.push(encoder.encode(pcm.subarray(at, at + PACKET_SAMPLES)));
    }
    return { id, packets };
  } catch (error) {
    return { id, packets: [], error: error instanceof Error ? error.message : "unknown" };
  }
}
