import { createDeepgramDoor } from "./deepgram/deepgram.ts";
import type { Door, DoorParts } from "./door.ts";
import { createOpenaiDoor } from "./openai/openai.ts";

/** The doors by their names in `DOORS`. */
const doors = {
  openai: createOpenaiDoor,
  deepgram: createDeepgramDoor,
} satisfies Readonly<Record<string, (parts: DoorParts) => Door>>;

/** The name of a door. */
export type DoorName = keyof typeof doors;

/** Makes the doors of these names. */
export function openDoors(names: readonly DoorName[], parts: DoorParts): readonly Door[] {
  return names.map((name) => doors[name](parts));
}
