import { createCommandVoice } from "../../server/providers/command/command.ts";
import { createToneVoice } from "../../server/providers/tone.ts";
import { synthesizerSuite } from "../contracts/synthesizer-suite.ts";

const nothing = async () => undefined;

synthesizerSuite(
  "tone",
  async () => ({ synthesizer: createToneVoice(), active: () => 0, stop: nothing }),
  { unscripted: true, capped: true },
);

/** Writes a tenth of a second of sound for each word, as soon as the word is there. */
const program = `
  process.stdin.setEncoding("utf8").on("data", (text) => {
    const words = text.split(/\\s+/).filter((word) => word !== "").length;
    process.stdout.write(Buffer.alloc(words * 3200 + 3200, 7));
  });
`;

/** Children that this process has not let go of. */
function children(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "ProcessWrap").length;
}

synthesizerSuite(
  "command",
  async () => {
    const before = children();
    const synthesizer = createCommandVoice({
      argv: [process.execPath, "-e", program],
      format: { sampleRateHz: 16_000 },
      timeoutMs: 20_000,
    });
    return { synthesizer, active: () => children() - before, stop: nothing };
  },
  { unscripted: true },
);
