import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, untilListening } from "./local-ports.ts";

/** True if this machine has no nginx. */
export const nginxIsMissing = spawnSync("nginx", ["-v"]).error !== undefined;

/** A proxy in front of a gateway. */
export type Nginx = AsyncDisposable & { readonly port: number };

/** Starts nginx in front of a port. It passes bodies on as they come and names its clients. */
export async function startNginx(upstreamPort: number): Promise<Nginx> {
  const port = await freePort();
  return await runNginx(port, configuration(port, upstreamPort));
}

/** Starts nginx with a configuration, and waits until it listens on a port. */
export async function runNginx(port: number, configured: string): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), "parley-nginx-"));
  const file = join(folder, "nginx.conf");
  writeFileSync(file, configured);
  const directives = "daemon off; master_process off; pid nginx.pid;";
  const args = ["-p", folder, "-c", file, "-e", "stderr", "-g", directives];
  const child = spawn("nginx", args, { stdio: "ignore" });
  await untilListening(port, child);
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true });
    },
  };
}

function configuration(port: number, upstreamPort: number): string {
  return `
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${upstreamPort};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`;
}
