import { startFilePlayer } from "./file-player.ts";
import { type Player, playerNames, startPlayer } from "./players.ts";
import type { Sound } from "./sound.ts";

/** What macOS has; it does not play what is piped in. */
const FILE_PLAYER = "afplay";

/** Plays through the first player that this machine has. Without one it says so and is silent. */
export function createSpeaker(note: (line: string) => void): Sound {
  let starting: Promise<Player | undefined> | undefined;

  const start = async () => {
    const player = (await startPlayer()) ?? startFilePlayer(FILE_PLAYER);
    if (!player) {
      const names = [...playerNames, FILE_PLAYER].join(", ");
      note(`Nothing here plays audio (tried ${names}). Install one, or use --out FILE.`);
    }
    return player;
  };
  return {
    async write(bytes) {
      starting ??= start();
      const player = await starting;
      await player?.write(bytes);
    },
    async end(signal) {
      const player = await starting;
      const code = (await player?.end(signal)) ?? 0;
      if (code !== 0) note(`${player?.name} could not play it (exit ${code}). Try --out FILE.`);
    },
    async cancel() {
      const player = await starting;
      player?.kill();
    },
  };
}
