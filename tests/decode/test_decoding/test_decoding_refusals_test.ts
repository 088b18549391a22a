import { assertThrows } from "@std/assert";
import { DecodeError } from "../../../src/decode/decoder.ts";
import { makeXLogData } from "../../fixtures/fixture.ts";
import {
  asRow,
  materialize,
  newDecoder,
  openTransaction,
  showColumns,
} from "../../support/decoding.ts";

/** The new row of an insert whose columns are `text`. */
function insert(text: string): string[] | undefined {
  const decode = openTransaction("test_decoding");
  return showColumns(asRow(decode(`table public.t: INSERT:${text}`)).newRow);
}

Deno.test("TestDecodingDecoder refuses what breaks the protocol's order", () => {
  const refuses = (texts: string[], what: string) => {
    const decoder = newDecoder("test_decoding");
    const last = texts.pop()!;
    for (const text of texts) decoder.decode(makeXLogData(1n, text));
    assertThrows(() => decoder.decode(makeXLogData(1n, last)), DecodeError, what);
  };
  refuses(["table public.t: INSERT: id[integer]:1"], "outside any transaction");
  refuses(["table public.t: TRUNCATE: (no-flags)"], "outside any transaction");
  refuses(["message: transactional: 1 prefix: p, sz: 0 content:"], "outside any transaction");
  refuses(["COMMIT 1"], "outside any transaction");
  refuses(["BEGIN 4294967296"], "no transaction id");
  refuses(["BEGIN 1", "table public.t: INSERT: (no-tuple-data)"], "sent no row");
  refuses(["BEGIN 1", "table public.t: UPDATE: (no-tuple-data)"], "sent no row");
  refuses(["BEGIN 1", "BEGIN 2"], "inside");
  refuses(["BEGIN 1", "COMMIT 2"], "a commit of 2 inside transaction 1");
});

const WRONG_COLUMNS: readonly string[] = [
  "id[integer]:1",
  " id",
  " id[integer",
  " id[integer]",
  " id[integer]:",
  " id[integer]1",
  " id[integer] :1",
  " id[integer]:1 ",
  " id[integer]:1x",
  " id[integer]:'1'",
  " id[integer]:-",
  " id[integer]:1.",
  " id[integer]:1e",
  " id[integer]:true",
  " id[integer]:nul",
  " id[integer]:NaNa",
  " id[integer]:unchanged-toast",
  " id[text]:x",
  " id[text]:'x",
  " id[text]:'x'y",
  " id[text]:'x'' y[text]:''",
  " id[text]:1",
  " id[text]:nullx",
  " id[boolean]:t",
  " id[boolean]:'t'",
  " id[boolean]:unchanged-toast-datum",
  " id[bit]:'1'",
  " id[bit]:B'2'",
  " id[bit]:B'1",
  ' ""[integer]:1',
  " Id[integer]:1",
  " 1d[integer]:1",
  " é[integer]:1",
  ' "id[integer]:1',
  " id[]:1",
  " id[Integer]:1",
  " id[integer varying]:'1'",
  " id[integer[]:1",
  " id[integer[][]]:1",
  " id[a.b.c]:1",
  " id[a.]:1",
  " old-key: id[integer]:1",
  " (no-tuple-data)",
  " (no-tuple-data",
];

Deno.test("TestDecodingDecoder refuses columns that it does not understand", () => {
  for (const text of WRONG_COLUMNS) {
    assertThrows(() => insert(text), DecodeError, "LSN 0/1F, position", text);
  }
});

const WRONG_MESSAGES: readonly string[] = [
  "",
  "BEGIN",
  "BEGIN ",
  "BEGIN 01",
  "BEGIN 4294967296",
  "BEGIN 1 ",
  "begin 1",
  "COMMIT",
  "COMMIT 7 ",
  "COMMIT 7 (at noon)",
  "COMMIT 7 (at 2026-01-02 03:04:05+00",
  "PREPARE TRANSACTION 'p', txid 7",
  "COMMIT PREPARED 'p', txid 7",
  "opening a streamed block for transaction TXN 7",
  "table",
  "table public",
  "table public.t",
  "table public.t: ",
  "table t: INSERT: id[integer]:1",
  "table public.t:INSERT: id[integer]:1",
  "table public.t: UPSERT: id[integer]:1",
  "table Public.t: INSERT: id[integer]:1",
  'table "public.t: INSERT: id[integer]:1',
  "table public.t.u: INSERT: id[integer]:1",
  "table public.t, public.u: INSERT: id[integer]:1",
  "table public.t,public.u: TRUNCATE: (no-flags)",
  "table public.t, : TRUNCATE: (no-flags)",
  "table public.t: TRUNCATE:",
  "table public.t: TRUNCATE: cascade restart_seqs",
  "table public.t: TRUNCATE: (no-flags) ",
  "table public.t: DELETE: (no-tuple-data) ",
  "table public.t: UPDATE: (no-tuple-data)",
  "table public.t: UPDATE: old-key: id[integer]:1",
  "table public.t: UPDATE: old-key: id[integer]:1 new-tuple:id[integer]:1",
  "message: transactional: 2 prefix: p, sz: 0 content:",
  "message: transactional: 1 prefix: p, sz: 1 content:",
  "message: transactional: 1 prefix: p, sz: 1 content:ab",
  "message: transactional: 1 prefix: p, sz: 01 content:a",
  "message: transactional: 1 prefix: p, sz:  content:",
  "message: transactional: 1 prefix: p",
];

Deno.test("TestDecodingDecoder refuses messages that it does not understand", () => {
  for (const text of WRONG_MESSAGES) {
    const decode = openTransaction("test_decoding");
    assertThrows(
      () => materialize(decode(text)),
      DecodeError,
      "test_decoding message at LSN 0/1F",
      text,
    );
  }
});

Deno.test("TestDecodingDecoder refuses bytes that are not UTF-8", () => {
  for (
    const text of [
      "table public.t: INSERT: id[text]:'~'",
      "table public.t: INSERT: \"~\"[text]:'x'",
      "table public.t: INSERT: id[\"~\"]:'x'",
      "table public.\"~\": INSERT: id[text]:'x'",
      "table \"~\".t: INSERT: id[text]:'x'",
    ]
  ) {
    // The second is an overlong form, the third half of a surrogate pair, the last one is cut off.
    for (const wrong of [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xC3]]) {
      const bytes = [...new TextEncoder().encode(text)];
      bytes.splice(bytes.indexOf(0x7E), 1, ...wrong);
      const decode = openTransaction("test_decoding");
      assertThrows(() => materialize(decode(Uint8Array.from(bytes))), DecodeError, "UTF-8", text);
    }
  }
});
