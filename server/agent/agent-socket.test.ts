import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { loopbackPort, openAgentSocket } from "./agent-socket.ts";

const linux = { platform: "linux", reservedPorts: [] } as const;

describe("openAgentSocket", () => {
  it("chooses a free loopback port on Windows, with a server behind it or not", async () => {
    const socket = await openAgentSocket({ platform: "win32", reservedPorts: [50_051] });
    const port = loopbackPort(socket.address);
    expect(port).toBeGreaterThan(0);
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    const client = socket.connect();
    await once(client, "connect");
    expect(client.remoteAddress).toBe("127.0.0.1");
    client.destroy();
    await socket.release();
    server.close();
  });

  it("never takes the gateway's own port", async () => {
    const options = { ...linux, path: "127.0.0.1:50051", reservedPorts: [50_051] };
    await expect(openAgentSocket(options)).rejects.toThrow("the port is the gateway's own");
  });

  it("refuses a port that another process listens on", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const taken = openAgentSocket({ ...linux, path: `127.0.0.1:${port}` });
    await expect(taken).rejects.toThrow("the socket is in use by another process");
    server.close();
  });

  it("refuses a place that it cannot look at", async () => {
    const socket = openAgentSocket({ ...linux, path: "/dev/null/agent.sock" });
    await expect(socket).rejects.toThrow("the socket's place cannot be read (ENOTDIR)");
  });
});

describe("loopbackPort", () => {
  it.each([
    ["127.0.0.1:50061", 50_061],
    ["localhost:1", 1],
    ["[::1]:7", 7],
    ["10.0.0.1:50061", undefined],
    ["/tmp/agent.sock", undefined],
  ])("reads %s as %s", (address, port) => {
    expect(loopbackPort(address)).toBe(port);
  });
});
