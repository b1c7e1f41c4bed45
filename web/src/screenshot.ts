import { t } from "./messages.ts";

/** A picture of the user's screen, ready for the wire. */
export type Screenshot = {
  /** A JPEG file in base64. */
  readonly base64: string;
  /** The picture, to be shown. */
  readonly canvas: HTMLCanvasElement;
};

/** Why a picture cannot be sent, in words for a person. */
export class PictureRefused extends Error {
  override readonly name = "PictureRefused";
}

const longestSidePx = 1280;
const quality = 0.85;

/** Makes any picture that the browser can read fit for the wire: JPEG, its longer side 1280 pixels at most. */
export async function prepareScreenshot(file: File): Promise<Screenshot> {
  const picture = await readPicture(file);
  const canvas = draw(picture.source, picture);
  picture.close();
  return { base64: await toBase64(await encode(canvas)), canvas };
}

/** A still of what the user chooses to show: a screen, a window, a tab. */
export async function captureScreen(): Promise<Screenshot> {
  const stream = await navigator.mediaDevices
    .getDisplayMedia({ video: true, audio: false })
    .catch((error: DOMException) => {
      throw new PictureRefused(
        error.name === "NotAllowedError" ? t.captureDenied : t.captureFailed,
      );
    });
  try {
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    const { videoWidth: width, videoHeight: height } = video;
    const canvas = draw(video, { width, height });
    return { base64: await toBase64(await encode(canvas)), canvas };
  } catch (error) {
    if (error instanceof PictureRefused) throw error;
    throw new PictureRefused(t.captureFailed);
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

/** Whether this browser can make a still of the screen. */
export const canCaptureScreen = (): boolean =>
  typeof navigator.mediaDevices?.getDisplayMedia === "function";

type Size = { readonly width: number; readonly height: number };
type Picture = Size & { readonly source: CanvasImageSource; close(): void };

async function readPicture(file: File): Promise<Picture> {
  try {
    const bitmap = await createImageBitmap(file);
    return {
      source: bitmap,
      width: bitmap.width,
      height: bitmap.height,
      close: () => bitmap.close(),
    };
  } catch {
    return await readByElement(file);
  }
}

// Drawings (SVG) are read by <img> alone.
async function readByElement(file: File): Promise<Picture> {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    return {
      source: image,
      width: width || longestSidePx,
      height: height || longestSidePx,
      close: () => URL.revokeObjectURL(image.src),
    };
  } catch {
    URL.revokeObjectURL(image.src);
    throw new PictureRefused(isPicture(file) ? t.unreadable(file.name) : t.notPicture(file.name));
  }
}

function isPicture(file: File): boolean {
  return file.type.startsWith("image/");
}

function draw(source: CanvasImageSource, { width, height }: Size): HTMLCanvasElement {
  const scale = Math.min(1, longestSidePx / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  // JPEG knows nothing that is transparent: without this it would be black.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function encode(canvas: HTMLCanvasElement): Promise<Blob> {
  const { promise, resolve } = Promise.withResolvers<Blob | null>();
  canvas.toBlob(resolve, "image/jpeg", quality);
  const encoded = await promise;
  if (!encoded) throw new PictureRefused(t.captureFailed);
  return encoded;
}

function toBase64(blob: Blob): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const reader = new FileReader();
  reader.onload = () => resolve(String(reader.result).replace(/^.*,/, ""));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
  return promise;
}

/** The first picture among files that were chosen, pasted or dropped; else the first file. */
export function firstPicture(files: FileList | undefined | null): File | undefined {
  const all = Array.from(files ?? []);
  return all.find(isPicture) ?? all[0];
}
