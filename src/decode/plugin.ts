import type { ServerWarning, XLogData } from "../base/replication_message.ts";
import type { OutputPlugin } from "../options.ts";
import type { Decoder } from "./decoder.ts";
import type { PublishesMessage } from "./message_prefix.ts";

/** What a message means for the place at which a lost session goes on. */
export type MessageRole =
  | "begin"
  | "commit"
  /** It is counted among those of its transaction. */
  | "change"
  /** It describes what follows; every session sends it again. */
  | "teaching";

/** The type's name as `format_type` prints it; undefined when the catalog has not seen the type. */
export type TypeName = (oid: number, typmod: number) => string | undefined;

export interface DecoderParts {
  /** pgoutput sends types as OIDs; where this cannot name one, `decode` throws an `UnknownTypeError`. */
  readonly typeName: TypeName;
  readonly publishesMessage: PublishesMessage;
}

/** Where in the server's source a warning was written, and its SQLSTATE. */
export interface WarningOrigin {
  readonly file: string;
  readonly routine: string;
  readonly code: string;
}

/** All that the program knows of one output plugin, in one value: see `plugins.ts` for all of them. */
export interface Plugin extends RowTraits {
  readonly name: OutputPlugin;
  /** It is part of every server that this program can follow. */
  readonly isBuiltIn: boolean;
  /** How it is installed on a server. */
  readonly install: string;
  /** The same as one command, for a server of that major version; undefined: there is none for all. */
  installCommand(major: number): string | undefined;
  /** It sends the tables of publications, by their names and with their column lists. */
  readonly usesPublications: boolean;
  /** It sends UTF-8 whatever the encoding of the database is. */
  readonly sendsUtf8: boolean;
  /** The options of START_REPLICATION that the decoder is written for. */
  startOptions(
    publications: readonly string[],
    serverVersion: number,
  ): readonly (readonly [name: string, value: string])[];
  /** Whether a server of that `server_version_num` gives it logical messages. */
  sendsMessages(serverVersion: number): boolean;
  /** What a warning says was left out; `nothing`: nothing was; undefined: that is not known. */
  leftOutBy(origin: WarningOrigin): ServerWarning["leftOut"] | "nothing" | undefined;
  /**
   * A column's type as its rows name it. PostgreSQL prints the type with the modifier, as
   * `numeric(10,2)`, in `fullType`, and without in `type`.
   */
  shownType(type: string, fullType: string): string;
  /** Undefined for a message of a kind that is not known, which the decoder refuses. */
  roleOf(message: XLogData): MessageRole | undefined;
  /** The decoder of one replication connection. */
  createDecoder(parts: DecoderParts): Decoder;
}

/** How the rows of the plugins differ in what they contain. */
export interface RowTraits {
  /**
   * What becomes of an UPDATE or DELETE in a table without replica identity: both are `left out`; a
   * delete comes as `row not named`; or the server `refuses` both to the application.
   */
  readonly withoutIdentity: "left out" | "row not named" | "refused";
  /** A change has `keyNames` only where these are the replica identity, too. */
  readonly keyNamesAreIdentity: boolean;
  /** An old row shows the columns of the replica identity, even where nothing names the key. */
  readonly showsOldIdentity: boolean;
  /** The old row of an update repeats values of the new one where PostgreSQL sent no old row. */
  readonly fillsOldRow: boolean;
  /** Columns with an unchanged TOAST value are missing from the new row; otherwise they are marked. */
  readonly omitsUnchanged: boolean;
  /** A NaN or an infinity comes as null, in keys too; otherwise the value of a key is never null. */
  readonly printsNaNAsNull: boolean;
  /** Generated columns may be missing, the primary key's too. */
  readonly omitsGenerated: boolean;
  /** Virtual generated columns come as a NULL that they are not. */
  readonly printsVirtualAsNull: boolean;
  /** Whose DDL a change's `definedBy` shows: of `all` tables, of the `own` one, or only `some`. */
  readonly shownDdl: "all" | "own" | "some";
  /**
   * The original program parsed the output of this plugin as JSON, which shows in its formats: in small
   * letters, Python's texts, and the new key of an update. Of test_decoding it passed on the text.
   */
  readonly wasParsedAsJson: boolean;
}
