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
        transactional: message.transactional === "true",
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
      return typeof value === "number" || typeof value === "boolean" ? context!.source : value;
    });
  } catch {
    return undefined;
  }
}

function readColumn({ name, type, value }: { name: string; type: string; value: string | null }) {
  return { name, type, value: type === "bytea" && value !== null ? `\\x${value}` : value };
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
