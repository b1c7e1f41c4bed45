import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { readConfig } from "../server/config/config.ts";
import { readSources } from "../server/config/config-sources.ts";
import { type ChildGateway, startChildGateway } from "./support/child-gateway.ts";
import { itUnless } from "./support/it-unless.ts";
import { freePort } from "./support/local-ports.ts";
import { runNginx } from "./support/nginx.ts";
import { hasProgram } from "./support/program.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

type Service = {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: unknown;
  readonly entrypoint?: unknown;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly networks: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>> | readonly string[];
};
type Compose = {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, unknown>>;
};

const compose = parse(read("deploy/compose.yaml"), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const gateways = services.filter(([, { image }]) => image === "parley");

/** The environment as Compose passes it on, with its variables set. */
function environmentOf({ environment = {} }: Service): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replace(
        /\$\{(\w+):\?[^}]*\}/g,
        (_, variable) => `${variable}-0123456789-0123456789-0123`,
      ),
    ]),
  );
}

describe("deploy/compose.yaml", () => {
  it("has two gateways of the image that deploy/Dockerfile makes, each with its own volume", () => {
    expect(gateways.map(([name]) => name)).toEqual(["gateway-1", "gateway-2"]);
    const file = read("deploy/Dockerfile");
    const [, folder] = /^VOLUME (\S+)$/m.exec(file) ?? [];
    const mounts = gateways.map(([, { volumes = [] }]) => volumes.join());
    expect(mounts).toEqual(gateways.map(([name]) => `${name}:${folder}`));
    for (const [, { build, command, entrypoint }] of gateways) {
      expect(existsSync(join(root, "deploy", build?.context ?? "", build?.dockerfile ?? ""))).toBe(
        true,
      );
      // The image's own.
      expect([command, entrypoint]).toEqual([undefined, undefined]);
    }
  });

  it("sets nothing but settings, and a gateway starts with them", () => {
    for (const [, gateway] of gateways) {
      const env = { ...environmentOf(gateway), HOST: "0.0.0.0" };
      // Nothing without effect, and no name that is one letter off.
      expect(readSources({ CONFIG_FILE: "", ...env }).warnings).toEqual([]);
      const file = join(mkdtempSync(join(tmpdir(), "parley-compose-")), "config.env");
      onTestFinished(() => rmSync(file));
      const lines = Object.entries(env).map(([name, value]) => `${name}='${value}'`);
      writeFileSync(file, lines.join("\n"));
      const config = readConfig({ CONFIG_FILE: file });
      expect(config.warnings).toEqual([]);
      expect(config.redis?.url).toMatch(/^redis:\/\/:REDIS_PASSWORD[\w-]+@redis:6379$/);
      expect(config.database.url).toBe("http://libsql:8080");
      expect(config.blobs).toMatchObject({
        type: "s3",
        bucket: "parley",
        endpoint: "http://minio:9000",
        credentials: { accessKeyId: expect.stringMatching(/^S3_KEY/) },
      });
    }
  });

  it.each(services)("has what the service %s needs", (_name, service) => {
    const { depends_on: wanted = [], volumes = [], networks, image } = service;
    const others = Array.isArray(wanted) ? wanted : Object.keys(wanted);
    const sources = volumes.map((volume) => volume.split(":")[0] ?? "");
    const isFile = (source: string) => source.startsWith("./");
    expect(others.filter((each) => !Object.hasOwn(compose.services, each))).toEqual([]);
    expect(networks.filter((each) => !Object.hasOwn(compose.networks, each))).toEqual([]);
    const named = sources.filter((source) => !isFile(source));
    expect(named.filter((each) => !Object.hasOwn(compose.volumes, each))).toEqual([]);
    const files = sources.filter(isFile).map((source) => join(root, "deploy", source));
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
    // A version, never the latest.
    expect(image).toMatch(/^parley$|:[\w.-]*\d/);
  });

  it("publishes the proxy's ports alone, and connects its gateways to its own services", () => {
    const published = services.filter(([, { ports }]) => ports !== undefined);
    expect(published.map(([name]) => name)).toEqual(["proxy"]);
    const values = gateways.flatMap(([, { environment = {} }]) => Object.values(environment));
    const hosts = values.flatMap((value) => {
      const [, host] = /^(?:redis|http):\/\/(?:[^@]*@)?([a-z]+):\d+/.exec(value) ?? [];
      return host ?? [];
    });
    expect([...new Set(hosts)].sort()).toEqual(["libsql", "minio", "redis"]);
    for (const host of hosts) expect(compose.services).toHaveProperty(host);
  });

  it("sends the proxy to the ports that the image listens on", () => {
    const file = read("deploy/Dockerfile");
    const ports = ["GRPC_PORT", "HTTP_PORT"].map(
      (name) => new RegExp(`${name}=(\\d+)`).exec(file)?.[1],
    );
    const servers = [...read("deploy/nginx.conf").matchAll(/server (gateway-\d):(\d+)/g)];
    expect(servers.map(([, name, port]) => `${name}:${port}`)).toEqual([
      ...gateways.map(([name]) => `${name}:${ports[0]}`),
      ...gateways.map(([name]) => `${name}:${ports[1]}`),
    ]);
  });
});

const hasNginx = hasProgram("nginx", ["-v"], "install nginx-light");

/** The configuration, on ports of this machine. */
async function configure(gateways: readonly ChildGateway[]) {
  const [grpc, http] = [await freePort(), await freePort()];
  const text = gateways
    .reduce(
      (config, { grpcPort, httpPort }, at) =>
        config
          .replace(`gateway-${at + 1}:50051`, `127.0.0.1:${grpcPort}`)
          .replace(`gateway-${at + 1}:8080`, `127.0.0.1:${httpPort}`),
      read("deploy/nginx.conf"),
    )
    .replace("listen 50051", `listen 127.0.0.1:${grpc}`)
    .replace("listen 8080", `listen 127.0.0.1:${http}`)
    .replace(/^pid .*$/m, "");
  return { text, grpc, http };
}

describe("deploy/nginx.conf", () => {
  itUnless(!hasNginx)("is a configuration that nginx takes", () => {
    const folder = mkdtempSync(join(tmpdir(), "parley-nginx-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "nginx.conf");
    const text = read("deploy/nginx.conf")
      .replaceAll(/gateway-\d/g, "127.0.0.1")
      .replace("/tmp/nginx.pid", join(folder, "nginx.pid"));
    writeFileSync(file, text);
    const { status, stderr } = spawnSync("nginx", ["-t", "-c", file, "-e", "stderr"], {
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringContaining("test is successful"),
    });
  });

  itUnless(!hasNginx)(
    "passes streams on as they come, over both ports, and goes around a gateway that is gone",
    async () => {
      await using first = await startChildGateway();
      await using second = await startChildGateway();
      const { text, grpc, http } = await configure([first, second]);
      await using _nginx = await runNginx(grpc, text);
      const say = `say: ${"A sentence that takes a while. ".repeat(2)}`;
      const streams = [
        createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpc}` }),
        createConnectTransport({ baseUrl: `http://127.0.0.1:${http}`, httpVersion: "1.1" }),
      ].map((transport) => createClient(StreamingService, transport));
      for (const client of streams) {
        const times: number[] = [];
        const asked = { prompt: say, hardwareId: "d", leadMs: 200 };
        for await (const _ of client.streamAudio(asked)) times.push(performance.now());
        // Held back by the gateway to the speed of playback; a proxy that buffers would send all at once.
        expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1000);
      }
      first.process.kill("SIGKILL");
      for (let call = 0; call < 6; call++) {
        const [client] = streams;
        const messages = await Array.fromAsync(
          client?.streamAudio({ prompt: "say: Hello.", hardwareId: "d" }) ?? [],
        );
        expect(messages.at(-1)?.content.case).toBe("endMessage");
      }
    },
  );
});

const hasPromtool = hasProgram("promtool", ["--version"], "take promtool from Debian's prometheus");

describe("deploy/prometheus", () => {
  const promtool = (args: readonly string[], input = "") => {
    const { status, stdout, stderr } = spawnSync("promtool", args, { cwd: root, input });
    return { status, said: `${stdout}${stderr}` };
  };

  itUnless(!hasPromtool)("has alerts that fire at what they name, and at nothing else", () => {
    const file = "deploy/prometheus/alerts.test.yml";
    expect(promtool(["test", "rules", file])).toMatchObject({ status: 0 });
    const tested = read(file).matchAll(/alertname: (\w+)\n {8}exp_alerts/g);
    const alerts = read("deploy/prometheus/alerts.yml").matchAll(/- alert: (\w+)/g);
    const names = (matches: Iterable<RegExpMatchArray>) =>
      [...matches].map(([, name]) => name).sort();
    expect(names(tested)).toEqual(names(alerts));
  });

  itUnless(!hasPromtool)("reads metrics in which promtool finds nothing to mend", async () => {
    await using gateway = await startChildGateway();
    const baseUrl = `http://127.0.0.1:${gateway.httpPort}`;
    const client = createClient(
      StreamingService,
      createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    );
    await Array.fromAsync(client.streamAudio({ prompt: "say: Hello.", hardwareId: "d" }));
    const metrics = await (await fetch(`${baseUrl}/metrics`)).text();
    expect(promtool(["check", "metrics"], metrics)).toEqual({ status: 0, said: "" });
  });
});
