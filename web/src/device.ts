import { recall, remember } from "./remembered.ts";

const key = "hardware-id";

/** This browser's id as a device, made once and kept; a new one each visit if storage is blocked. */
export function hardwareId(): string {
  const id = recall(key) ?? randomUuid();
  remember(key, id);
  return id;
}

/** A random UUID. `crypto.randomUUID` is absent from pages that did not come over https. */
export function randomUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte, index) => {
    const marked = index === 6 ? (byte & 0x0f) | 0x40 : index === 8 ? (byte & 0x3f) | 0x80 : byte;
    return marked.toString(16).padStart(2, "0");
  }).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
