import type { OutputPlugin } from "../options.ts";
import type { Decoder } from "./decoder.ts";
import type { PublishesMessage } from "./message_prefix.ts";
import { PgoutputDecoder } from "./pgoutput/pgoutput_decoder.ts";
import type { TypeName } from "./pgoutput/pgoutput_relation.ts";
import { TestDecodingDecoder } from "./test_decoding/test_decoding_decoder.ts";
import { Wal2jsonDecoder } from "./wal2json/wal2json_decoder.ts";

export interface DecoderParts {
  /** pgoutput sends types as OIDs; where this cannot name one, `decode` throws an `UnknownTypeError`. */
  readonly typeName: TypeName;
  readonly publishesMessage: PublishesMessage;
}

/** The decoder of one replication connection. */
export function createDecoder(
  plugin: OutputPlugin,
  { typeName, publishesMessage }: DecoderParts,
): Decoder {
  switch (plugin) {
    case "test_decoding":
      return new TestDecodingDecoder(publishesMessage);
    case "wal2json":
      return new Wal2jsonDecoder(publishesMessage);
    case "pgoutput":
      return new PgoutputDecoder(typeName, publishesMessage);
  }
}
