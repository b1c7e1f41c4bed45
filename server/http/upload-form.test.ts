import { describe, expect, it } from "vitest";
import { InvalidRequest } from "../core/errors.ts";
import { readUploadForm } from "./upload-form.ts";

const type = "multipart/form-data; boundary=----b";

function part(headers: string, content: string): string {
  return `------b\r\ncontent-disposition: form-data; ${headers}\r\n\r\n${content}\r\n`;
}

function formOf(...parts: readonly string[]): Buffer {
  return Buffer.from(`${parts.join("")}------b--\r\n`, "utf8");
}

const read = (body: Uint8Array, contentType = type) => readUploadForm(body, contentType);

describe("readUploadForm", () => {
  it("takes the file as a browser or fetch sends it, among other fields", async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 256);
    const form = new FormData();
    form.set("note", "before");
    form.set("other", new File(["x"], "other.wav"));
    form.set("audiofile", new File([bytes], 'my "голос".wav', { type: "audio/wav" }));
    form.set("after", "behind");
    const sent = new Response(form);
    const body = new Uint8Array(await sent.arrayBuffer());
    const file = await read(body, sent.headers.get("content-type") ?? "");
    expect(file.filename).toBe('my "голос".wav');
    expect(Buffer.compare(file.bytes, bytes)).toBe(0);
    // It is a view: a large file is not copied.
    expect(file.bytes.buffer).toBe(body.buffer);
  });

  it.each([
    ['name="audiofile"; filename="a/b.wav"', "a/b.wav"],
    ['name="audiofile"; filename=""', "audio"],
    ['name="audiofile"; filename="a\u202e\u0007b"', "ab"],
    [`name="audiofile"; filename="${"x".repeat(300)}"`, "x".repeat(255)],
    ["name=\"audiofile\"; filename*=UTF-8''%D1%8F.wav", "я.wav"],
  ])("names the file of %s", async (headers, filename) => {
    expect(await read(formOf(part(headers, "sound")))).toEqual({
      filename,
      bytes: Buffer.from("sound"),
    });
  });

  it("takes a file without bytes, and one that holds most of a boundary", async () => {
    const headers = 'name="audiofile"; filename="a"';
    expect((await read(formOf(part(headers, "")))).bytes).toHaveLength(0);
    const tricky = "\r\n------\r\n-----b\r\n------c\r\n\r\n";
    const { bytes } = await read(formOf(part(headers, tricky)));
    expect(Buffer.from(bytes).toString()).toBe(tricky);
  });

  it.each([
    ["no field of the name", formOf(part('name="file"; filename="a"', "sound"))],
    ["text instead of a file", formOf(part('name="audiofile"', "sound"))],
    ["two files", formOf(...Array(2).fill(part('name="audiofile"; filename="a"', "sound")))],
    ["no field at all", Buffer.from("------b--\r\n")],
  ])("refuses a form with %s", async (_, body) => {
    await expect(read(body)).rejects.toThrow(
      new InvalidRequest("audiofile", "must be there once, as a file with a filename"),
    );
  });

  it("refuses a form that is cut off anywhere", async () => {
    const whole = formOf(part('name="audiofile"; filename="a"', "sound"));
    // The last line's end may be missing.
    for (let length = 0; length < whole.length - "--\r\n".length; length++) {
      await expect(read(whole.subarray(0, length)), `${length} bytes`).rejects.toThrow(
        InvalidRequest,
      );
    }
  });

  it("refuses what is no form, and a form with too many parts", async () => {
    const body = formOf(part('name="audiofile"; filename="a"', "sound"));
    await expect(read(body, "multipart/form-data; charset=x")).rejects.toThrow(InvalidRequest);
    await expect(read(body, "multipart/form-data; boundary=other")).rejects.toThrow(InvalidRequest);
    await expect(read(Buffer.from("RIFF"))).rejects.toThrow(InvalidRequest);
    const many = Array(200).fill(part('name="x"', "y"));
    await expect(read(formOf(...many))).rejects.toThrow(
      new InvalidRequest("audiofile", "must be in a form of at most 100 parts"),
    );
  });
});
