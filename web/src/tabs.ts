/** The other tabs of this page: one of them sounds at a time. */
export class Tabs {
  // Closed with the page; absent from old browsers.
  readonly #channel =
    "BroadcastChannel" in globalThis ? new BroadcastChannel("parley.voice") : undefined;

  /** Says that this tab begins to sound. */
  claim(): void {
    this.#channel?.postMessage("sounds");
  }

  /** Calls `listener` when another tab begins to sound. */
  onOther(listener: () => void): void {
    this.#channel?.addEventListener("message", listener);
  }
}
