import { assertThrows } from "@std/assert";
import { XLogData } from "../../../src/base/replication_message.ts";
import { DecodeError } from "../../../src/decode/decoder.ts";
import type { RowChange, TransactionEvent } from "../../../src/decode/event.ts";
import { makeXLogData } from "../../fixtures/fixture.ts";
import { materialize, newDecoder } from "../../support/decoding.ts";
import * as write from "../../support/pgoutput_messages.ts";

const T = 16400;
const COLUMNS = [
  { name: "id", oid: 23, flags: 1 },
  { name: "b", oid: 16 },
  { name: "v", oid: 25 },
];
const RELATION = write.relation(T, "public", "t", COLUMNS);

const MESSAGES: Readonly<Record<string, Uint8Array>> = {
  begin: write.begin(0x20n, 0n, 7),
  commit: write.commit(0x20n, 0x28n),
  relation: RELATION,
  type: write.type(16500, "public", "mood"),
  origin: write.join("O", write.int64(1n), write.cstring("an origin")),
  insert: write.insert(T, ["1", "t", "x"]),
  "insert of NULL": write.insert(T, ["1", null, null]),
  "update with a key": write.update(T, "K", ["1", null, null], ["2", "f", "y"]),
  "update with a row": write.update(T, "O", ["1", "t", "x"], ["2", "f", null]),
  delete: write.deletion(T, "O", ["1", "t", "x"]),
  "delete with a key": write.deletion(T, "K", ["1", null, null]),
  truncate: write.truncate(0, T, T),
  message: write.logicalMessage(1, 1n, "prefix", Uint8Array.of(1, 2, 3)),
};

/** Each way in which a stage asks for all that an event has. */
const ASKED: Readonly<Record<string, (event: TransactionEvent | undefined) => void>> = {
  rows: (event) => event && materialize(event),
  columns: (event) => {
    for (const { name } of COLUMNS) {
      asRow(event)?.oldColumn(name);
      asRow(event)?.newColumn(name);
    }
  },
  bytes: (event) => {
    asRow(event)?.oldBytes?.();
    asRow(event)?.newBytes?.();
  },
};

function asRow(event: TransactionEvent | undefined): RowChange | undefined {
  return event !== undefined && "relation" in event ? event as RowChange : undefined;
}

for (const [name, data] of Object.entries(MESSAGES)) {
  Deno.test(`PgoutputDecoder reads nothing behind the end of a message that is cut: ${name}`, () => {
    const whole = makeXLogData(0x1Fn, data);
    for (let cut = 0; cut < data.length; cut++) {
      // What it lacks lies right behind it.
      const message = new XLogData(whole.bytes, whole.start, whole.dataStart + cut);
      for (const [what, ask] of Object.entries(ASKED)) {
        // An old key is not given as bytes.
        if (what === "bytes" && name === "delete with a key") continue;
        const decoder = newDecoder("pgoutput");
        const seen = name === "begin" ? [] : [MESSAGES.begin!, RELATION];
        for (const each of seen) decoder.decode(makeXLogData(0n, each));
        assertThrows(
          () => ask(decoder.decode(message)),
          DecodeError,
          undefined,
          `${what} of the first ${cut} of ${data.length} bytes`,
        );
      }
    }
  });
}
