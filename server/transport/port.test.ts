import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createPort, type Port, type PortOptions } from "./port.ts";

const ports: Port[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const port of ports.splice(0)) await port.stop(0);
  for (const server of servers.splice(0)) server.close();
});

function create(options: Partial<PortOptions> = {}): Port {
  const port = createPort({
    host: "127.0.0.1",
    port: 0,
    handle: (_request, response) => void response.end(),
    ...options,
  });
  ports.push(port);
  return port;
}

async function occupy(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return (server.address() as { port: number }).port;
}

const settings = { host: "HOST", port: "GRPC_PORT" };

describe("createPort", () => {
  it("takes a free port for port 0 and tells which", async () => {
    const { host, port } = await create().start();
    expect(host).toBe("127.0.0.1");
    expect(port).toBeGreaterThan(0);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  });

  it("does not listen before its start", async () => {
    const first = create();
    const { port } = await first.start();
    await first.stop(0);
    create({ port });
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });

  it("names address and setting when another program has the port", async () => {
    const port = await occupy();
    await expect(create({ port, settings }).start()).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: the port is in use. Stop the other program or change GRPC_PORT`,
    );
  });

  it("names address and setting when the host is not this machine's", async () => {
    const port = create({ host: "192.0.2.1", port: 50_051, settings });
    await expect(port.start()).rejects.toThrow(/192\.0\.2\.1:50051: .* Change HOST\./);
  });

  it("settles every stop together, and one without a start at once", async () => {
    const port = create();
    await port.start();
    const stops = Promise.all([port.stop(0), port.stop(1000), create().stop(1000)]);
    await expect(stops).resolves.toHaveLength(3);
  });

  it("stops after a start that failed", async () => {
    const port = create({ port: await occupy() });
    await expect(port.start()).rejects.toThrow();
    await port.stop(1000);
  });

  it("stops listening even when it is told to while it starts", async () => {
    const port = create();
    const starting = port.start();
    await port.stop(0);
    const address = await starting;
    await expect(fetch(`http://127.0.0.1:${address.port}/`)).rejects.toThrow();
  });

  it("does not keep more time than it needs when nobody is connected", async () => {
    const port = create();
    await port.start();
    await port.stop(600_000);
    expect(port.connections()).toBe(0);
  });
});
