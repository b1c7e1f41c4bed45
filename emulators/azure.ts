import { type SpeechEmulator, startSpeechServer } from "./microsoft-speech-server.ts";
import { pcmWord } from "./microsoft-speech-tones.ts";

/**
 * Starts an emulated Azure Speech service: the WebSocket v1 of its SDK, raw 48 kHz audio, a tone and a
 * word boundary for each word. It has the voices whose names end in "Neural".
 */
export function startAzureEmulator(): Promise<SpeechEmulator> {
  return startSpeechServer({
    path: "/tts/cognitiveservices/websocket/v1",
    audio: {
      type: "audio/x-wav",
      word: (at, isWrong) => pcmWord(at, isWrong ? 24_000 : 48_000),
    },
    refuses: ({ headers }) => (headers["ocp-apim-subscription-key"] ? undefined : 401),
  });
}
