/** The types that the gateway decodes by itself, in the order of preference. */
const types = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

/** A recording in progress. */
export type Recording = {
  /** Ends it. Resolves with the file, and a name with the fitting ending. */
  stop(): Promise<{ readonly file: Blob; readonly name: string }>;
  /** Drops it. */
  cancel(): void;
};

/** Whether this browser records at all. */
export function canRecord(): boolean {
  return typeof MediaRecorder === "function" && navigator.mediaDevices !== undefined;
}

/** Begins to record the microphone. Rejects where the user or the browser forbids it. */
export async function startRecording(): Promise<Recording> {
  // What the browser cleans is not what was said.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type)) ?? "";
  const recorder = new MediaRecorder(stream, { ...(mimeType && { mimeType }) });
  const pieces: Blob[] = [];
  recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
  recorder.start();
  const release = () => {
    for (const track of stream.getTracks()) track.stop();
  };
  return {
    async stop() {
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
      recorder.stop();
      await stopped;
      release();
      const type = recorder.mimeType.split(";", 1)[0] ?? "";
      const ending = type === "audio/mp4" ? "m4a" : (type.split("/")[1] ?? "webm");
      const time = new Date().toTimeString().slice(0, 5).replace(":", "-");
      return { file: new Blob(pieces, { type }), name: `recording-${time}.${ending}` };
    },
    cancel() {
      if (recorder.state !== "inactive") recorder.stop();
      release();
    },
  };
}
