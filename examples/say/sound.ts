/** Where a turn's audio goes. Nothing is opened before the first `write`. */
export type Sound = {
  /** Takes 48 kHz mono s16le. */
  write(bytes: Uint8Array): Promise<void>;
  /** The audio is whole: resolves when it was written, or heard. Throws when the signal fires. */
  end(signal: AbortSignal): Promise<void>;
  /** The turn ended early. What arrived may be kept. */
  cancel(): Promise<void>;
};
