// An agent that passes the bytes of its socket to an emulated agent's port.
import { connect, createServer } from "node:net";

const port = Number(process.argv[2]);
const server = createServer((near) => {
  const far = connect({ host: "127.0.0.1", port });
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.pipe(other);
    one.on("error", () => undefined);
    one.once("close", () => other.destroy());
  }
});
process.stdin.once("end", () => process.exit()).resume();
server.listen(process.env["NEIRA_SOCKET_PATH"] ?? "", () => console.log("AGENT_READY"));
