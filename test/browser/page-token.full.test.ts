import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createToken, writeTokenFile } from "../../server/auth/token-file.ts";
import { openBrowser } from "./browser.ts";
import { startGateway } from "./gateway.ts";
import { openVisit } from "./visit.ts";

describe("the page of a gateway with tokens", () => {
  it("asks for a token, keeps it for the tab, and asks again once it is revoked", async () => {
    const folder = await mkdtemp(join(tmpdir(), "parley-page-"));
    const path = join(folder, "tokens.json");
    const made = createToken({ device: "the-token's", scopes: ["speak"] });
    await writeTokenFile(path, { tokens: [made.stored], revokedJwts: [] });
    const gateway = await startGateway({ env: { AUTH_MODE: "token", DATA_DIR: folder } });
    const browser = await openBrowser();
    try {
      const { page, send, reaches, faults } = await openVisit(browser, gateway.url);
      const dialog = page.getByRole("dialog", { name: "This gateway wants a token" });
      await send("say: Hello.");
      await dialog.getByLabel("Token").fill("wrong");
      await page.keyboard.press("Enter");
      await dialog.getByLabel("Token").fill(made.token);
      await dialog.getByRole("button", { name: "Use the token" }).click();
      await reaches("speaking");
      await reaches("idle");
      expect(gateway.prompts.map(({ deviceId }) => deviceId)).toEqual(["the-token's"]);
      await page.reload();
      await send("say: Again.");
      await reaches("speaking");
      await reaches("idle");
      expect(gateway.prompts).toHaveLength(2);
      await writeTokenFile(path, { tokens: [], revokedJwts: [] });
      const status = async () => (await fetchStatus(gateway.url, made.token)).status;
      await expect.poll(status, { timeout: 10_000 }).toBe(401);
      await send("say: Once more.");
      await dialog.getByRole("button", { name: "Cancel" }).click();
      await reaches("error");
      await page.getByText("This gateway wants a token, and this page has none.").waitFor();
      expect(gateway.prompts).toHaveLength(2);
      expect(faults).toEqual([]);
    } finally {
      await browser.close();
      await gateway.stop();
      await rm(folder, { recursive: true });
    }
  });
});

const fetchStatus = (url: string, token: string) =>
  fetch(`${url}status`, { headers: { authorization: `Bearer ${token}` } });
