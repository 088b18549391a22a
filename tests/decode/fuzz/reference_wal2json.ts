/**
 * wal2json's messages a second time, read by JSON.parse. Gives what {@linkcode materialize} gives but
 * for LSN, xid and position; undefined for what JSON cannot read.
 */
export function readWal2json(data: Uint8Array): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
  const message = parse(repairBackslashes(text)) ?? parse(repairTypes(text));
  if (message === undefined) return undefined;
  const { schema, table, columns, identity, pk } = message;
  switch (message.action) {
    case "M":
      return {
        kind: "message",
        transactional: message.transactional.source === "true",
        prefix: message.prefix,
        content: [...new TextEncoder().encode(message.content)],
      };
    case "T":
      return { kind: "truncate", tables: [`${schema}.${table}`] };
    case "I":
    case "U":
    case "D":
      return {
        kind: { I: "insert", U: "update", D: "delete" }[message.action as "I" | "U" | "D"],
        schema,
        table,
        keyNames: pk.map(({ name }: { name: string }) => name),
        newRow: columns?.map(readColumn),
        oldRow: identity?.map(readColumn),
      };
    default:
      return undefined;
  }
}

// deno-lint-ignore no-explicit-any
function parse(text: string): any {
  try {
    return JSON.parse(text, (_, value, context?: { source?: string }) => {
      const isPlain = typeof value === "number" || typeof value === "boolean";
      return isPlain ? new Plain(context!.source!) : value;
    });
  } catch {
    return undefined;
  }
}

/** A number or boolean as it was printed. */
class Plain {
  constructor(readonly source: string) {}
}

const PLAIN_TYPES =
  /^(smallint|integer|bigint|real|double precision|numeric(\(-?\d+(,-?\d+)?\))?|oid|boolean)$/;

function readColumn(column: { name: string; type: string; value: string | Plain | null }) {
  const { name, type, value } = column;
  if (value instanceof Plain) return { name, type, value: value.source };
  if (value === null) return { name, type, value };
  if (type === "bytea") return { name, type, value: `\\x${value}` };
  // A string of a type that prints none: a user's type that is called like the built-in one.
  return { name, type: PLAIN_TYPES.test(type) ? `"${type}"` : type, value };
}

const NAME = `(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)`;

/** Type names with quotes are printed as they are; see `readType`. */
const BARE_TYPE = new RegExp(
  `"type":(${NAME}(?:\\.${NAME})?(?:\\([^"]*\\))?(?:\\[\\])?)(?=,"value":|\\},\\{"name":"|\\}\\]\\}$)`,
  "gs",
);
const WRAPPED_TYPE = new RegExp(
  `"type":"(${NAME}(?:\\.${NAME})?(?:\\([^"]*\\))?(?:\\[\\])?)"(?=,"value":|\\},\\{"name":"|\\}\\]\\}$)`,
  "gs",
);

function repairTypes(text: string): string {
  return text.replace(WRAPPED_TYPE, (all, type) => {
    return type.includes('"') ? `"type":${JSON.stringify(type)}` : all;
  }).replace(BARE_TYPE, (all, type) => {
    const isOneName = /^"[^"]*"$/.test(type);
    if (isOneName) return `"type":${JSON.stringify(type.slice(1, -1))}`;
    return type.startsWith('"') ? `"type":${JSON.stringify(type)}` : all;
  });
}

/** A name with a backslash that was not escaped for JSON: `"back\\slash"`. */
function repairBackslashes(text: string): string {
  return text.replace(
    /"type":"(?!(?:[a-z_][a-z0-9_]*\.)?\\")([^"]*\\[^"]*)"(?=,"value":|\},\{"name":"|\}\]\}$)/gs,
    (_, type) => `"type":${JSON.stringify(type)}`,
  );
}
