import type { OutputPlugin } from "../options.ts";
import type { Decoder } from "./decoder.ts";
import { PgoutputDecoder } from "./pgoutput.ts";
import type { TypeName } from "./pgoutput_relation.ts";
import { TestDecodingDecoder } from "./test_decoding.ts";
import { Wal2jsonDecoder } from "./wal2json.ts";

/**
 * The decoder of one replication connection. pgoutput sends types as OIDs: `typeName` names them, and
 * where it cannot, `decode` throws an `UnknownTypeError`.
 */
export function createDecoder(
  plugin: OutputPlugin,
  { typeName }: { readonly typeName: TypeName },
): Decoder {
  switch (plugin) {
    case "test_decoding":
      return new TestDecodingDecoder();
    case "wal2json":
      return new Wal2jsonDecoder();
    case "pgoutput":
      return new PgoutputDecoder(typeName);
  }
}
