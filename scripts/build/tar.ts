import { gzipSync } from "node:zlib";

/** One entry of an archive; folders come before what is in them. */
export interface TarEntry {
  /** Without a slash at the beginning; of a folder with one at the end. */
  readonly path: string;
  /** Such as `0o755`. */
  readonly mode: number;
  /** Of user and group; default 0. */
  readonly owner?: number;
  /** Of a file. */
  readonly bytes?: Uint8Array;
  /** Of a symbolic link. */
  readonly target?: string;
}

const BLOCK = 512;
const text = new TextEncoder();

/**
 * Writes a POSIX (ustar) archive. Every entry has the same time, in seconds since 1970, so that the same
 * files give the same bytes.
 * @throws where a path is longer than the format takes.
 */
export function writeTar(entries: readonly TarEntry[], time: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const entry of entries) {
    const bytes = entry.bytes ?? new Uint8Array();
    pieces.push(header(entry, bytes.length, time), bytes);
    pieces.push(new Uint8Array((BLOCK - bytes.length % BLOCK) % BLOCK));
  }
  pieces.push(new Uint8Array(2 * BLOCK));
  return concat(pieces);
}

function header(
  { path, mode, owner = 0, target }: TarEntry,
  size: number,
  time: number,
): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (at: number, value: string, length: number) => {
    const bytes = text.encode(value);
    if (bytes.length > length) throw new Error(`${path}: ${value} is longer than ${length} bytes`);
    block.set(bytes, at);
  };
  const octal = (at: number, value: number, digits: number) =>
    put(at, value.toString(8).padStart(digits, "0"), digits);
  const name = owner === 0 ? "root" : "";
  put(0, path, 100);
  octal(100, mode, 7);
  octal(108, owner, 7);
  octal(116, owner, 7);
  octal(124, size, 11);
  octal(136, time, 11);
  put(148, " ".repeat(8), 8);
  put(156, target !== undefined ? "2" : path.endsWith("/") ? "5" : "0", 1);
  put(157, target ?? "", 100);
  put(257, "ustar\x0000", 8);
  put(265, name, 32);
  put(297, name, 32);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.fill(0, 148, 156);
  octal(148, sum, 6);
  block[155] = 0x20;
  return block;
}

/** The folders above these paths, each once, before what is in them, then all by path. */
export function withFolders(
  entries: readonly TarEntry[],
  folders: readonly TarEntry[] = [],
): TarEntry[] {
  const known = new Map([...folders, ...entries].map((entry) => [entry.path, entry]));
  for (const { path } of [...known.values()]) {
    for (
      let at = path.indexOf("/");
      at !== -1 && at < path.length - 1;
      at = path.indexOf("/", at + 1)
    ) {
      const folder = path.slice(0, at + 1);
      if (!known.has(folder)) known.set(folder, { path: folder, mode: 0o755 });
    }
  }
  return [...known.values()].toSorted((one, other) => one.path < other.path ? -1 : 1);
}

/** Without a time or a name, which would make each run's bytes others. */
export function gzip(bytes: Uint8Array, level = 9): Uint8Array {
  const zipped = new Uint8Array(gzipSync(bytes, { level }));
  zipped.fill(0, 4, 8);
  zipped[9] = 0xFF;
  return zipped;
}

export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
