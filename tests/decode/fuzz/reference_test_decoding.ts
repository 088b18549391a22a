/**
 * test_decoding's grammar a second time, as regular expressions over the whole text: slow, and as
 * unlike the decoder as can be. Gives what {@linkcode materialize} gives but for LSN, xid and position;
 * undefined for what is not understood.
 */
export function readTestDecoding(data: Uint8Array): Record<string, unknown> | undefined {
  // One character a byte, for messages with any content.
  const bytes = Array.from(data, (byte) => String.fromCharCode(byte)).join("");
  if (bytes.startsWith("message: ")) return readMessage(bytes);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
  const truncate = TRUNCATE.exec(text);
  if (truncate !== null) {
    const tables = [...truncate[1]!.matchAll(QUALIFIED)].map(([, schema, table]) =>
      `${unquote(schema!)}.${unquote(table!)}`
    );
    const flags = truncate[2]!;
    return {
      kind: "truncate",
      cascade: flags.includes("cascade"),
      restartIdentity: flags.includes("restart_seqs"),
      tables,
    };
  }
  const change = CHANGE.exec(text);
  if (change === null) return undefined;
  const [head, schema, table, operation] = change;
  const kind = operation!.toLowerCase();
  const common = { kind, schema: unquote(schema!), table: unquote(table!) };
  const rest = text.slice(head!.length);
  if (kind === "delete" && rest === " (no-tuple-data)") return common;
  const reader = new ColumnReader(rest);
  if (kind === "update" && reader.skip(" old-key:")) {
    const oldRow = reader.read(" new-tuple:");
    const newRow = oldRow && reader.read(undefined);
    return newRow && { ...common, newRow, oldRow };
  }
  const row = reader.read(undefined);
  return row && { ...common, [kind === "delete" ? "oldRow" : "newRow"]: row };
}

const IDENTIFIER = `(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)`;
const WORDS =
  "bit varying|character varying|double precision|time(?:stamp)? (?:with|without) time zone";
const TYPE = `(?:${WORDS}|${IDENTIFIER}(?:\\.${IDENTIFIER})?)(?:\\[\\])?`;
const QUALIFIED = new RegExp(`(${IDENTIFIER})\\.(${IDENTIFIER})(?:, )?`, "gsy");
const TRUNCATE = new RegExp(
  `^table (${IDENTIFIER}\\.${IDENTIFIER}(?:, ${IDENTIFIER}\\.${IDENTIFIER})*): TRUNCATE:` +
    `( \\(no-flags\\)| restart_seqs cascade| restart_seqs| cascade)$(?![^])`,
  "s",
);
const CHANGE = new RegExp(
  `^table (${IDENTIFIER})\\.(${IDENTIFIER}): (INSERT|UPDATE|DELETE):`,
  "s",
);
const COLUMN = new RegExp(` (${IDENTIFIER})\\[(${TYPE})\\]:`, "sy");
const NUMBER = /(?:-?Infinity|NaN|-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)(?= |$(?![^]))/y;
const BOOLEAN = /(?:true|false)(?= |$(?![^]))/y;
const BITS = /B'([01]*)'(?= |$(?![^]))/y;
const QUOTED = /'((?:[^']|'')*)'(?= |$(?![^]))/sy;
const NULL = /null(?= |$(?![^]))/y;
const UNCHANGED = /unchanged-toast-datum(?= |$(?![^]))/y;

function unquote(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}

interface ReferenceColumn {
  readonly name: string;
  readonly type: string;
  readonly value: string | null;
}

class ColumnReader {
  #at = 0;
  constructor(private readonly text: string) {}

  skip(token: string): boolean {
    if (!this.text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  read(end: string | undefined): ReferenceColumn[] | undefined {
    const columns: ReferenceColumn[] = [];
    while (end === undefined ? this.#at < this.text.length : !this.skip(end)) {
      const column = this.#match(COLUMN);
      if (column === null) return undefined;
      const value = this.#value(column[2]!);
      if (value === undefined) return undefined;
      columns.push({ name: unquote(column[1]!), type: column[2]!, value });
    }
    return columns;
  }

  #value(type: string): string | null | undefined {
    if (this.#match(NULL) !== null) return null;
    if (type !== "boolean" && this.#match(UNCHANGED) !== null) return "(unchanged)";
    if (type === "boolean") return this.#match(BOOLEAN)?.[0];
    if (type === "bit" || type === "bit varying") return this.#match(BITS)?.[1];
    const isNumber = /^(smallint|integer|bigint|real|double precision|numeric|oid)$/.test(type);
    const number = isNumber ? this.#match(NUMBER)?.[0] : undefined;
    if (isNumber && type !== "oid") return number;
    return number ?? this.#match(QUOTED)?.[1]?.replaceAll("''", "'");
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }
}

function readMessage(bytes: string): Record<string, unknown> | undefined {
  const head = /^message: transactional: ([01]) prefix: /.exec(bytes);
  if (head === null) return undefined;
  const rest = bytes.slice(head[0].length);
  const ends = [...rest.matchAll(/(?=, sz: (0|[1-9][0-9]*) content:)/g)].filter((match) => {
    const start = match.index + `, sz: ${match[1]} content:`.length;
    return BigInt(match[1]!) === BigInt(rest.length - start);
  });
  if (ends.length !== 1) return undefined;
  const toBytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  let prefix: string;
  try {
    prefix = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(toBytes(rest.slice(0, ends[0]!.index)));
  } catch {
    return undefined;
  }
  const size = Number(ends[0]![1]);
  const content = [...toBytes(rest.slice(rest.length - size))];
  return { kind: "message", transactional: head[1] === "1", prefix, content };
}
