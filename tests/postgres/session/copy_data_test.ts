import { assertEquals, assertThrows } from "@std/assert";
import {
  readCopyData,
  readNotice,
  writeStandbyStatus,
} from "../../../src/postgres/session/copy_data.ts";
import { statusIntervalMs } from "../../../src/postgres/session/replication_session.ts";

function copyData(payload: readonly number[]): Uint8Array {
  return new Uint8Array(["d".charCodeAt(0), 0, 0, 0, 4 + payload.length, ...payload]);
}

Deno.test("readCopyData reads XLogData without its header, from inside a chunk", () => {
  const header = [0, 0, 0, 0x16, 0xb3, 0x74, 0xd8, 0x48];
  const payload = ["w".charCodeAt(0), ...header, ...header, ...new Array(8).fill(0), 65, 66];
  const message = copyData(payload);
  const chunk = new Uint8Array([9, 9, ...message, 9]);
  const read = readCopyData(chunk, 2, 2 + message.length);
  if (read.kind !== "xlogdata") throw new Error(`it is a ${read.kind}`);
  assertEquals(read.walStart, 0x16B374D848n);
  assertEquals([...read.data], [65, 66]);
  assertEquals(read.payload.length, payload.length);
});

Deno.test("readCopyData reads keepalives", () => {
  for (const reply of [0, 1]) {
    const message = copyData([
      "k".charCodeAt(0),
      0xff,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      ...new Array(8),
      reply,
    ]);
    assertEquals(readCopyData(message, 0, message.length), {
      kind: "keepalive",
      walEnd: 0xff00_0000_0000_0001n,
      replyRequested: reply === 1,
    });
  }
});

Deno.test("readCopyData refuses what it does not know", () => {
  const cases = [[], ["x".charCodeAt(0)], ["w".charCodeAt(0), ...new Array(23).fill(0)], [
    "k".charCodeAt(0),
    0,
  ]];
  for (const payload of cases) {
    const message = copyData(payload);
    assertThrows(() => readCopyData(message, 0, message.length), SyntaxError, "not known");
  }
});

Deno.test("writeStandbyStatus writes PostgreSQL's bytes", () => {
  const bytes = writeStandbyStatus({
    written: 0x0102n,
    flushed: 0xffff_ffff_ffff_fffen,
    replyRequested: true,
    nowMs: Date.UTC(2000, 0, 1, 0, 0, 1),
  });
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  assertEquals(
    hex,
    "64" + "00000026" + "72" + "0000000000000102" + "fffffffffffffffe" + "fffffffffffffffe" +
      "00000000000f4240" + "01",
  );
});

Deno.test("readNotice takes the severity that is not translated", () => {
  const fields = ["SWARNUNG", "VWARNING", "C01000", "Mtable without key", "Dtwo\nlines", "Hdo it"]
    .concat("Fsrc/plugin.c", "Rdecode");
  const body = new TextEncoder().encode(fields.map((field) => `${field}\0`).join("") + "\0");
  const message = new Uint8Array([78, 0, 0, 0, 4 + body.length, ...body]);
  assertEquals(readNotice(message), {
    severity: "WARNING",
    code: "01000",
    text: "table without key two lines do it",
    file: "plugin.c",
    routine: "decode",
  });
});

Deno.test("statusIntervalMs is a third of the server's patience and of ours, ten seconds at most", () => {
  assertEquals(statusIntervalMs(60_000, 60_000), 10_000);
  assertEquals(statusIntervalMs(3000, 60_000), 1000);
  assertEquals(statusIntervalMs(60_000, 3000), 1000);
  assertEquals(statusIntervalMs(0, 0), 10_000);
});
