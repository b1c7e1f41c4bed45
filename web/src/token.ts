import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { reasonKey } from "./failure.ts";
import { t } from "./messages.ts";

/** Kept until the tab is closed, and for this tab alone. */
const key = "parley.token";

/** The event of the window that tells of another token. */
export const tokenGiven = "parley-token";

let token = recallToken();

/** Whether this tab has a token: then the token says which device it is. */
export function hasToken(): boolean {
  return token !== undefined;
}

/** The headers of a request beside the RPCs. */
export function tokenHeaders(): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
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
  return metadata.get(reasonKey) === "revoked";
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
  dispatchEvent(new Event(tokenGiven));
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

// Element by element: the page's policy lets no text become HTML.
function buildDialog() {
  const dialog = create("dialog", "");
  dialog.id = "token";
  dialog.setAttribute("aria-labelledby", "token-title");
  const title = create("h2", t.failedTokenTitle);
  title.id = "token-title";
  const label = create("label", t.token);
  label.htmlFor = "token-input";
  const input = create("input", "");
  Object.assign(input, {
    id: "token-input",
    type: "password",
    autocomplete: "off",
    required: true,
  });
  input.spellcheck = false;
  const about = create("p", `${t.tokenKept} `);
  about.append(create("code", "npm run token -- create"));
  const submit = create("button", t.tokenUse);
  submit.type = "submit";
  const cancel = create("button", t.cancel);
  cancel.type = "button";
  const form = create("form", "");
  form.append(title, label, input, about, submit, cancel);
  dialog.append(form);
  return { dialog, form, input, cancel };
}

function create<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  text: string,
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
