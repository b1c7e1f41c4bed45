import { build } from "vite";
import { openBrowser } from "../browser/browser.ts";

/** What a script did in a page. */
export type PageRun = {
  /** What it logged, in order. */
  readonly logged: readonly string[];
  /** The samples that it gave the speaker, in order. */
  readonly played: Int16Array;
};

// Runs in the page: notes what is played, and plays it.
const recorder = `
  globalThis.played = [];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when) {
    for (const value of this.buffer.getChannelData(0)) played.push(Math.round(value * 32768));
    return start.call(this, when);
  };`;

/** Runs a TypeScript module in a page of `origin` to its end. Throws what it throws. */
export async function runInPage(file: string, origin: string): Promise<PageRun> {
  const script = await bundle(file);
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    const logged: string[] = [];
    page.on("console", (message) => logged.push(message.text()));
    await page.goto(`${origin}/health`);
    await page.evaluate(recorder);
    const source = `new Blob([${JSON.stringify(script)}], { type: "text/javascript" })`;
    await page.evaluate(`import(URL.createObjectURL(${source}))`);
    return { logged, played: Int16Array.from(await page.evaluate<number[]>("played")) };
  } finally {
    await browser.close();
  }
}

/** The module and all that it imports, as one script. */
async function bundle(file: string): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, target: "esnext", rolldownOptions: { input: file } },
  });
  if (!("output" in output)) throw new Error("a bundle of one script has one output");
  return output.output[0].code;
}
