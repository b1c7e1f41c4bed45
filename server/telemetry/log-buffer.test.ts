import { Writable } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createLogBuffer } from "./log-buffer.ts";

afterEach(() => void vi.useRealTimers());

/** An output whose reader takes one piece at each `read`. */
function openOutput() {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  const output = new Writable({
    write(bytes, _encoding, done) {
      waiting.push(() => {
        if (bytes.length > 0) taken.push(String(bytes));
        done();
      });
    },
  });
  const read = async (pieces: number) => {
    for (let piece = 0; piece < pieces; piece++) {
      waiting.shift()?.();
      await new Promise(setImmediate);
    }
  };
  return { output, taken, read };
}

const loss = (count: number, noun = "lines") =>
  expect.stringMatching(
    new RegExp(
      `^{"level":40,"time":\\d+,"dropped":${count},"msg":"${count} log ${noun} dropped"}\n$`,
    ),
  );

describe("createLogBuffer", () => {
  it("passes lines on in their order", async () => {
    const { output, taken, read } = openOutput();
    const log = createLogBuffer(output);
    log.write("a\n");
    log.write("b\n");
    await read(2);
    expect(taken).toEqual(["a\n", "b\n"]);
  });

  it("drops what does not fit, and tells how many once half is free", async () => {
    const { output, taken, read } = openOutput();
    const log = createLogBuffer(output, 8);
    for (const line of ["aaa\n", "bbb\n", "ccc\n", "d\n"]) log.write(line);
    expect(output.writableLength).toBe(8);
    await read(3);
    log.write("e\n");
    await read(2);
    expect(taken).toEqual(["aaa\n", "bbb\n", loss(2), "e\n"]);
  });

  it("takes no line between one that was dropped and the count", async () => {
    const { output, taken, read } = openOutput();
    const log = createLogBuffer(output, 8);
    for (const line of ["aaa\n", "bb\n", "cc\n", "\n"]) log.write(line);
    await read(9);
    expect(taken).toEqual(["aaa\n", "bb\n", loss(2)]);
  });

  it("tells one line that was dropped as one", async () => {
    const { output, taken, read } = openOutput();
    const log = createLogBuffer(output, 4);
    log.write("aaa\n");
    log.write("b\n");
    await read(2);
    expect(taken.at(-1)).toEqual(loss(1, "line"));
  });

  it("flushes lines and count", async () => {
    const { output, taken, read } = openOutput();
    const log = createLogBuffer(output, 4);
    log.write("aaa\n");
    log.write("b\n");
    const flushed = log.flush(600_000);
    await read(9);
    await flushed;
    expect(taken).toEqual(["aaa\n", loss(1, "line")]);
  });

  it("flushes at once where nothing waits", async () => {
    const flushed = createLogBuffer(openOutput().output).flush(600_000);
    await expect(flushed).resolves.toBeUndefined();
  });

  it("waits no longer than it may for a reader", async () => {
    vi.useFakeTimers();
    const log = createLogBuffer(openOutput().output);
    log.write("a\n");
    const flushed = log.flush(1000);
    await vi.advanceTimersByTimeAsync(1000);
    await flushed;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("gives up an output that fails", async () => {
    const output = new Writable({ write: (_bytes, _encoding, done) => done(new Error("EPIPE")) });
    const log = createLogBuffer(output);
    log.write("a\n");
    await new Promise(setImmediate);
    log.write("b\n");
    await expect(log.flush(600_000)).resolves.toBeUndefined();
  });
});
