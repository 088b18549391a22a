import { assert, assertEquals } from "@std/assert";
import { LineWriter } from "../../src/telemetry/line_writer.ts";
import { waitFor } from "../support/wait.ts";

/** Takes what is written when the test lets it, or fails as the test says. */
class TestSink {
  written = "";
  writes = 0;
  /** Bytes that it still takes. */
  room = Infinity;
  error: Error | undefined;
  #wake: (() => void) | undefined;

  async write(bytes: Uint8Array): Promise<number> {
    this.writes++;
    while (this.room === 0) {
      if (this.error !== undefined) throw this.error;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.written += new TextDecoder().decode(taken);
    return taken.length;
  }

  take(room: number): void {
    this.room = room;
    this.#wake?.();
  }
}

function start(room = Infinity) {
  const sink = new TestSink();
  sink.room = room;
  return { sink, writer: new LineWriter(sink, (count) => `${count} dropped`) };
}

Deno.test("LineWriter writes lines in their order, those of one go at once", async () => {
  const { sink, writer } = start();
  for (const line of ["a", "b", "ö"]) writer.writeLine(line);
  await writer.flush(10_000);
  assertEquals([sink.written, sink.writes], ["a\nb\nö\n", 1]);
});

Deno.test("LineWriter keeps little of what is not read, and says where how much is missing", async () => {
  const { sink, writer } = start(0);
  const lines = Array.from({ length: 50_000 }, (_, n) => `${n} ${"x".repeat(95)}`);
  for (const line of lines) {
    writer.writeLine(line);
    await undefined;
  }
  await writer.flush(1);
  sink.take(Infinity);
  await writer.flush(10_000);
  writer.writeLine("after");
  await writer.flush(10_000);
  const read = sink.written.trimEnd().split("\n");
  const [dropped, after] = read.splice(-2);
  assertEquals(read, lines.slice(0, read.length));
  assertEquals([dropped, after], [`${50_000 - read.length} dropped`, "after"]);
  assert(read.length > 100 && sink.written.length < 2_300_000, `${sink.written.length}`);
});

Deno.test("LineWriter does not wait for a reader at the end for longer than it was told", async () => {
  const { writer } = start(0);
  writer.writeLine("a");
  await writer.flush(1);
});

Deno.test("LineWriter goes on after what cannot be written, on a line of its own", async () => {
  const { sink, writer } = start(7);
  sink.error = new Error("No space left on device");
  for (const line of ["whole", "torn", "lost"]) writer.writeLine(line);
  await writer.flush(10_000);
  writer.writeLine("lost too");
  await writer.flush(10_000);
  sink.room = Infinity;
  writer.writeLine("back");
  await writer.flush(10_000);
  assertEquals(sink.written, "whole\nt\n3 dropped\nback\n");
});

Deno.test("LineWriter tries a pipe again that somebody made non-blocking", async () => {
  const { sink, writer } = start(1);
  sink.error = new Deno.errors.WouldBlock();
  writer.writeLine("abc");
  await waitFor(() => sink.writes > 2, { what: "another try" });
  sink.room = Infinity;
  await writer.flush(10_000);
  assertEquals(sink.written, "abc\n");
});

Deno.test("LineWriter keeps a status line below what is written, and only the last of them", async () => {
  const { sink, writer } = start();
  writer.showStatus("one");
  await writer.flush(10_000);
  writer.writeLine("line");
  await writer.flush(10_000);
  sink.room = 0;
  writer.showStatus("two");
  await writer.flush(1);
  for (let n = 0; n < 100_000; n++) writer.showStatus(`status ${n}`);
  writer.showStatus("");
  sink.take(Infinity);
  await writer.flush(10_000);
  const clear = "\r\x1b[K";
  assertEquals(sink.written, `one${clear}line\none${clear}two${clear}`);
});
