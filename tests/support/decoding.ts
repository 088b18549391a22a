import { PLUGINS } from "../../src/decode/plugins.ts";
import { type Decoder, UnknownTypeError } from "../../src/decode/decoder.ts";
import {
  type Column,
  type RowChange,
  type TransactionEvent,
  UNCHANGED,
} from "../../src/decode/event.ts";
import type { PublishesMessage } from "../../src/decode/message_prefix.ts";
import type { TypeName } from "../../src/decode/plugin.ts";
import type { XLogData } from "../../src/base/replication_message.ts";
import type { OutputPlugin } from "../../src/options.ts";
import { type Fixture, fixtureTypeName, makeXLogData, toXLogData } from "../fixtures/fixture.ts";

/** Names the few built-in types that hand-written pgoutput messages use. */
export function builtinTypeName(oid: number): string | undefined {
  return { 16: "boolean", 17: "bytea", 20: "bigint", 23: "integer", 25: "text", 1700: "numeric" }[
    oid
  ];
}

export function newDecoder(
  plugin: OutputPlugin,
  typeName: TypeName = builtinTypeName,
  publishesMessage: PublishesMessage = () => true,
): Decoder {
  return PLUGINS[plugin].createDecoder({ typeName, publishesMessage });
}

/** A decoder inside transaction 7, and a function that gives it one more message. */
export function openTransaction(
  plugin: "test_decoding" | "wal2json",
  publishesMessage?: PublishesMessage,
) {
  const decoder = newDecoder(plugin, builtinTypeName, publishesMessage);
  decoder.decode(makeXLogData(
    0x10n,
    plugin === "test_decoding"
      ? "BEGIN 7"
      : `{"action":"B","xid":7,"timestamp":"2026-01-01 00:00:00+00","lsn":"0/20","nextlsn":"0/28"}`,
  ));
  return (text: string | Uint8Array) => decoder.decode(makeXLogData(0x1Fn, text))!;
}

/** A row change or an error for whoever expects one. */
export function asRow(event: TransactionEvent | undefined): RowChange {
  if (event?.kind !== "insert" && event?.kind !== "update" && event?.kind !== "delete") {
    throw new Error(`a row change was expected, not ${event?.kind}`);
  }
  return event;
}

/** `name[type]=value` of each column: as text it compares and reads well. */
export function showColumns(columns: readonly Column[] | undefined): string[] | undefined {
  return columns?.map(({ name, type, value }) =>
    `${name}[${type}]=${value === UNCHANGED ? "(unchanged)" : JSON.stringify(value)}`
  );
}

/** Asks for everything that an event has, so that every lazy part is decoded. */
export function materialize(event: TransactionEvent): Record<string, unknown> {
  switch (event.kind) {
    case "begin":
      return { kind: event.kind, ...event.transaction };
    case "commit":
      return { kind: event.kind, xid: event.transaction.xid, endLsn: event.endLsn };
    case "message": {
      const { kind, lsn, seq, prefix, content, transaction } = event;
      return { kind, lsn, seq, xid: transaction?.xid, prefix, content: [...content] };
    }
    case "ambiguous-message": {
      const { kind, lsn, prefix, transaction } = event;
      return { kind, lsn, xid: transaction?.xid, prefix };
    }
    case "truncate": {
      const { kind, lsn, seq, cascade, restartIdentity } = event;
      const tables = event.relations.map((relation) => relation.qualifiedName);
      return { kind, lsn, seq, xid: event.transaction.xid, cascade, restartIdentity, tables };
    }
    case "insert":
    case "update":
    case "delete":
    // No plugin gives it.
    case "read": {
      const { kind, lsn, seq, relation, keyNames, newRow, oldRow } = event;
      const { schema, table } = relation;
      return {
        kind,
        lsn,
        seq,
        xid: event.transaction.xid,
        schema,
        table,
        keyNames,
        newRow,
        oldRow,
      };
    }
  }
}

/** Decodes a whole fixture; a message with an unknown type is given twice, as the pipeline does. */
export function decodeFixture(fixture: Fixture): TransactionEvent[] {
  if (fixture.plugin === "wal2json_v1") throw new Error("format version 1 has no decoder");
  const decoder = newDecoder(fixture.plugin, fixtureTypeName(fixture));
  const events: TransactionEvent[] = [];
  for (const message of fixture.messages) {
    const event = decodeTwice(decoder, toXLogData(message));
    if (event !== undefined) events.push(event);
  }
  return events;
}

export function decodeTwice(decoder: Decoder, message: XLogData): TransactionEvent | undefined {
  try {
    return decoder.decode(message);
  } catch (error) {
    if (!(error instanceof UnknownTypeError)) throw error;
    return decoder.decode(message);
  }
}
