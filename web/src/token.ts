import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Kept until the tab is closed, and for this tab alone. */
const key = "parley.token";

let token = recallToken();

/** Whether this tab has a token: then the token says which device it is. */
export function hasToken(): boolean {
  return token !== undefined;
}

/** Sends the tab's token with each call. */
export const sendToken: Interceptor = (next) => (request) => {
  if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
  return next(request);
};

/**
 * Opens a reply. If the gateway wants a token and nothing has come yet, asks the user for one and opens
 * it again. Throws the refusal if the user gives none.
 */
export async function* withToken<Event>(
  open: () => AsyncGenerator<Event>,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  for (;;) {
    try {
      return yield* open();
    } catch (error) {
      const refusal = ConnectError.from(error);
      if (refusal.code !== Code.Unauthenticated || isRevoked(refusal)) throw error;
      forgetToken();
      const given = await askForToken(signal);
      if (given === undefined) throw error;
      keepToken(given);
    }
  }
}

/** The reply had begun, so it is not asked for again. */
function isRevoked({ metadata }: ConnectError): boolean {
  return metadata.get("parley-reason") === "revoked";
}

function recallToken(): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function keepToken(given: string): void {
  token = given;
  try {
    sessionStorage.setItem(key, given);
  } catch {
    // Where storage is blocked, it lasts until the page is loaded again.
  }
}

function forgetToken(): void {
  token = undefined;
  try {
    sessionStorage.removeItem(key);
  } catch {
    // Nothing was kept.
  }
}

/** Shows the dialog. Resolves with what was entered; nothing if it was closed, or the signal fired. */
async function askForToken(signal: AbortSignal): Promise<string | undefined> {
  if (signal.aborted) return undefined;
  const { dialog, form, input, cancel } = buildDialog();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const close = () => dialog.close();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    resolve(input.value.trim() || undefined);
    close();
  });
  cancel.addEventListener("click", close);
  signal.addEventListener("abort", close);
  dialog.addEventListener("close", () => {
    signal.removeEventListener("abort", close);
    dialog.remove();
    resolve(undefined);
  });
  document.body.append(dialog);
  dialog.showModal();
  return await promise;
}

function buildDialog() {
  const dialog = document.createElement("dialog");
  dialog.id = "token";
  dialog.setAttribute("aria-labelledby", "token-title");
  dialog.innerHTML = `<form>
    <h2 id="token-title">This gateway wants a token</h2>
    <label for="token-input">Token</label>
    <input id="token-input" type="password" autocomplete="off" spellcheck="false" required />
    <p>It is kept until this tab is closed. Its owner makes one with <code>npm run token -- create</code>.</p>
    <button type="submit">Use the token</button>
    <button type="button">Cancel</button>
  </form>`;
  const [, cancel] = dialog.querySelectorAll("button");
  const form = dialog.querySelector("form");
  const input = dialog.querySelector("input");
  if (!form || !input || !cancel) throw new Error("the dialog is incomplete");
  return { dialog, form, input, cancel };
}
