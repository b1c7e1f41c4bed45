import { serveSpeaker } from "../booth/serve-speaker.ts";

// The process in which the local voice speaks.
serveSpeaker(async () => (await import("./speaker.ts")).createSpeaker());
