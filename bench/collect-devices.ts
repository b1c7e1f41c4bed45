/** Milliseconds that a connection takes to stand: three round trips of 50 ms, say. */
export const CONNECT_MS = 150;

/** Milliseconds from a request to the model's first words. */
export const FIRST_PART_MS = 300;

/** Milliseconds from a sentence to the voice's first sound. */
export const FIRST_SOUND_MS = 100;

/** Every other device talks to the model that speaks by itself. */
export function isLive(deviceId: string): boolean {
  return Number(deviceId.split("-").at(-1)) % 2 === 1;
}
