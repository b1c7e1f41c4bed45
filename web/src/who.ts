import type { ReplySource } from "./gateway.ts";
import type { GatewayFacts, TierStatus } from "./gateway-status.ts";
import { locale, t, tierName } from "./messages.ts";
import { count } from "./numbers.ts";
import { find } from "./page.ts";
import { recall, remember } from "./remembered.ts";

/** The line that says who answers, the list of who can, and the choice of a voice. */
export class Who {
  readonly #line = find("#who", HTMLElement);
  readonly #list = find("#tiers", HTMLElement);
  readonly #picker = find("#voice", HTMLSelectElement);
  readonly #names = new Map<ReplySource["kind"], string>();
  #facts: GatewayFacts | undefined;

  constructor() {
    this.#picker.addEventListener("change", () => {
      remember("voice", this.#picker.value);
      this.#show();
    });
  }

  /** The chosen voice; undefined for the gateway's own choice. */
  get voice(): string | undefined {
    return this.#picker.value || undefined;
  }

  /** Shows what the gateway tells of itself. */
  know(facts: GatewayFacts): void {
    this.#facts = facts;
    for (const kind of ["text", "speech"] as const) {
      const first = facts.tiers.find((tier) => tier.kind === kind && tier.breaker !== "OPEN");
      if (first && !this.#names.has(kind)) this.#names.set(kind, first.name);
    }
    this.#list.replaceChildren(...facts.tiers.map(tierRow));
    if (facts.tiers.length === 0) this.#list.replaceChildren(item(t.statusUnknown));
    this.#offerVoices(facts.tiers);
    this.#show();
  }

  /** Shows who has begun to write or speak. */
  onSource({ kind, tier }: ReplySource): void {
    this.#names.set(kind, tier);
    this.#show();
  }

  #show(): void {
    const text = this.#names.get("text");
    const speech = this.#names.get("speech");
    const voices = this.#facts?.tiers.find(({ name }) => name === speech)?.voices ?? [];
    const chosen = this.voice && voices.includes(this.voice) ? this.voice : voices[0];
    const voice =
      speech && [tierName(speech), chosen && shortName(chosen)].filter(Boolean).join(" ");
    this.#line.textContent = [text && tierName(text), voice].filter(Boolean).join(" · ") || t.who;
  }

  #offerVoices(tiers: readonly TierStatus[]): void {
    const offering = tiers.filter(({ voices = [] }) => voices.length > 0);
    const wanted = recall("voice") ?? "";
    this.#picker.replaceChildren(new Option(t.voiceAutomatic, ""));
    for (const { name, voices = [] } of offering) {
      const group = document.createElement("optgroup");
      group.label = tierName(name);
      group.append(...voices.map((voice) => new Option(longName(voice), voice)));
      this.#picker.append(group);
    }
    this.#picker.value = wanted;
    if (this.#picker.selectedIndex < 0) this.#picker.value = "";
    find("#voice-choice", HTMLElement).hidden = offering.length === 0;
  }
}

function tierRow({ name, kind, breaker, languages, voices = [] }: TierStatus): HTMLElement {
  const does = [
    t.abilities[name] ?? (kind === "text" ? t.whoWrites : t.whoSpeaks),
    languages && languages.length > 0 && t.languagesOf(languageNames(languages)),
    voices.length > 0 && t.voicesOf(count(voices.length)),
    breaker === "OPEN" && t.circuitOpen,
  ];
  const row = item("");
  const strong = document.createElement("strong");
  strong.textContent = tierName(name);
  row.append(strong, ` — ${does.filter(Boolean).join("; ")}`);
  return row;
}

function item(text: string): HTMLElement {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

const named = new Intl.DisplayNames(locale, { type: "language" });

function languageNames(tags: readonly string[]): string {
  const names = tags.slice(0, 5).map((tag) => named.of(tag) ?? tag);
  return names.join(", ") + (tags.length > names.length ? "…" : "");
}

/** `Aria` of `en-US-AriaNeural`. */
function shortName(voice: string): string {
  return /-([\p{L}\d]+?)(?:Multilingual)?(?:Neural)?$/u.exec(voice)?.[1] ?? voice;
}

/** `Aria (American English)` of `en-US-AriaNeural`. */
function longName(voice: string): string {
  const [, tag] = /^([a-z]{2,3}-[A-Z]{2})-/.exec(voice) ?? [];
  return tag ? `${shortName(voice)} (${named.of(tag) ?? tag})` : voice;
}
