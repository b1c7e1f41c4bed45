/** A picture of the user's screen, ready for the wire. */
export type Screenshot = {
  /** A WebP file in base64; JPEG from a browser that cannot write WebP. */
  readonly base64: string;
  /** The picture, to be shown. */
  readonly canvas: HTMLCanvasElement;
};

/** Why a picture cannot be sent, in words for a person. */
export class PictureRefused extends Error {
  override readonly name = "PictureRefused";
}

const longestSidePx = 1280;
const quality = 0.8;

/** Makes a picture fit for the wire: WebP or JPEG, its longer side 1280 pixels at most. */
export async function prepareScreenshot(file: Blob): Promise<Screenshot> {
  const canvas = await draw(file);
  const webp = await encode(canvas, "image/webp");
  // A browser that cannot write WebP writes PNG instead, without a word: JPEG is smaller.
  const encoded = webp.type === "image/webp" ? webp : await encode(canvas, "image/jpeg");
  return { base64: await toBase64(encoded), canvas };
}

async function encode(canvas: HTMLCanvasElement, type: string): Promise<Blob> {
  const { promise, resolve } = Promise.withResolvers<Blob | null>();
  canvas.toBlob(resolve, type, quality);
  const encoded = await promise;
  if (!encoded) throw new PictureRefused("This browser cannot make a file of that picture.");
  return encoded;
}

async function draw(file: Blob): Promise<HTMLCanvasElement> {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new PictureRefused("That file is not a picture that this browser can read.");
  });
  const scale = Math.min(1, longestSidePx / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

function toBase64(blob: Blob): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const reader = new FileReader();
  reader.onload = () => resolve(String(reader.result).replace(/^.*,/, ""));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
  return promise;
}

/** The first picture among files that were chosen, pasted or dropped. */
export function firstPicture(files: FileList | undefined | null): File | undefined {
  return Array.from(files ?? []).find((file) => file.type.startsWith("image/"));
}
