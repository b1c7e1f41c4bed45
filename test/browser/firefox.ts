import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { hasProgram } from "../support/program.ts";

/** Whether Firefox and a sound server are there. */
export function hasFirefox(): boolean {
  const install = "apt-get install firefox-esr pulseaudio";
  return (
    hasProgram("firefox-esr", ["--version"], install) &&
    hasProgram("pulseaudio", ["--version"], install)
  );
}

/** A page in Firefox, driven by WebDriver BiDi. */
export type FirefoxPage = AsyncDisposable & {
  /** The value of an expression in the page. */
  evaluate(expression: string): Promise<unknown>;
  /** Types as a keyboard does. `\uE007` is Enter. */
  type(text: string): Promise<void>;
  /** What the page logged as errors, uncaught ones included. */
  readonly errors: readonly string[];
};

/** Opens a page in a headless Firefox of its own, which plays to nowhere. */
export async function openFirefox(url: string): Promise<FirefoxPage> {
  const folder = await mkdtemp(join(tmpdir(), "parley-firefox-"));
  const sound = await startSound(folder);
  // Nobody clicks here before there is to be sound.
  await writeFile(join(folder, "user.js"), 'user_pref("media.autoplay.default", 0);\n');
  const args = ["--headless", "--no-remote", "--profile", folder, "--remote-debugging-port", "0"];
  const env = { ...process.env, HOME: folder, PULSE_SERVER: `unix:${sound.socket}` };
  const firefox = spawn("firefox-esr", [...args, "about:blank"], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(firefox, "exit");
  const bidi = await connect(await addressOf(firefox.stderr));
  await bidi.send("session.new", { capabilities: {} });
  await bidi.send("session.subscribe", { events: ["log.entryAdded"] });
  const { contexts } = (await bidi.send("browsingContext.getTree", {})) as Tree;
  const context = contexts[0]?.context;
  await bidi.send("browsingContext.navigate", { context, url, wait: "complete" });
  return {
    errors: bidi.errors,
    async evaluate(expression) {
      const target = { target: { context }, awaitPromise: true };
      const answer = await bidi.send("script.evaluate", { expression, ...target });
      return (answer as { readonly result?: { readonly value?: unknown } }).result?.value;
    },
    async type(text) {
      const actions = [...text].flatMap((value) => [
        { type: "keyDown", value },
        { type: "keyUp", value },
      ]);
      const keyboard = { type: "key", id: "keyboard", actions };
      await bidi.send("input.performActions", { context, actions: [keyboard] });
    },
    async [Symbol.asyncDispose]() {
      bidi.close();
      firefox.kill();
      await exited;
      await sound.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

type Tree = { readonly contexts: readonly { readonly context: string }[] };

/** Without a loudspeaker Firefox never starts an AudioContext: this one takes all sound and drops it. */
async function startSound(folder: string) {
  const socket = join(folder, "sound");
  const options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"];
  const server = spawn(
    "pulseaudio",
    [
      ...options,
      "--disable-shm=yes",
      "--load=module-null-sink rate=48000",
      `--load=module-native-protocol-unix socket=${socket} auth-anonymous=1`,
    ],
    { env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder }, stdio: "ignore" },
  );
  const exited = once(server, "exit");
  return {
    socket,
    async stop() {
      server.kill();
      await exited;
    },
  };
}

async function addressOf(stderr: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stderr })) {
    const address = /listening on (ws:\S+)/.exec(line)?.[1];
    if (address) return address;
  }
  throw new Error("Firefox ended before it listened");
}

type Message = {
  readonly id?: number;
  readonly type: string;
  readonly result?: unknown;
  readonly params?: { readonly level?: string; readonly text?: string };
};

async function connect(address: string) {
  const socket = new WebSocket(`${address}/session`);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const errors: string[] = [];
  socket.on("message", (data) => {
    const { id, type, result, params }: Message = JSON.parse(`${data}`);
    if (id === undefined) {
      if (params?.level === "error") errors.push(`${params.text}`);
      return;
    }
    if (type === "success") waiting.get(id)?.resolve(result);
    else waiting.get(id)?.reject(new Error(`${data}`));
    waiting.delete(id);
  });
  await once(socket, "open");
  let lastId = 0;
  return {
    errors,
    close: () => socket.terminate(),
    send(method: string, params: object): Promise<unknown> {
      lastId += 1;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(lastId, answer);
      socket.send(JSON.stringify({ id: lastId, method, params }));
      return answer.promise;
    },
  };
}
