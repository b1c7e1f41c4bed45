import { type SpeechEmulator, startSpeechServer } from "./microsoft-speech-server.ts";
import { pcmWord } from "./microsoft-speech-tones.ts";

/**
 * Starts an emulated Azure Speech service: the websocket v1 of its SDK, raw 48 kHz sound, each word a
 * tone of its own, with its boundary. It knows the voices whose names end in "Neural".
 */
export function startAzureEmulator(): Promise<SpeechEmulator> {
  return startSpeechServer({
    path: "/tts/cognitiveservices/websocket/v1",
    sound: {
      type: "audio/x-wav",
      word: (at, isWrong) => pcmWord(at, isWrong ? 24_000 : 48_000),
    },
    refuses: ({ headers }) => (headers["ocp-apim-subscription-key"] ? undefined : 401),
  });
}
