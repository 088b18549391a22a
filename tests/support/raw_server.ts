/** A connection of a {@linkcode RawServer}: its requests, one after the other. */
export interface RawConnection {
  /** Counts the server's connections from 0. */
  readonly index: number;
  /** Undefined: the client has closed it. */
  next(): Promise<{ readonly head: string; readonly body: string } | undefined>;
  write(text: string): Promise<void>;
  close(): void;
}

export interface RawServer extends AsyncDisposable {
  readonly port: number;
  readonly endpoint: string;
  /** The request lines, with the number of their connection. */
  readonly seen: string[];
}

/** A server whose every byte is the test's: what no HTTP server does on purpose. */
export function serveRaw(
  serve: (connection: RawConnection) => Promise<void>,
  tls?: { readonly cert: string; readonly key: string },
): RawServer {
  const listener = tls === undefined
    ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
    : Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...tls });
  const { port } = listener.addr as Deno.NetAddr;
  const open = new Set<Deno.Conn>();
  const seen: string[] = [];
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for (let index = 0;; index++) {
      let conn: Deno.Conn;
      try {
        conn = await listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
          return;
        }
        continue;
      }
      open.add(conn);
      serving.push(serve(connectionOf(conn, index, seen)).catch(() => {}));
    }
  })();
  return {
    port,
    endpoint: `${tls === undefined ? "http" : "https"}://localhost:${port}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const conn of open) closeQuietly(conn);
      await accepting;
      await Promise.all(serving);
    },
  };
}

/** A whole answer, with its length. */
export function answer(status: number, body: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({
    "content-type": "application/x-amz-json-1.1",
    ...headers,
    "content-length": String(new TextEncoder().encode(body).length),
  }).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${status} status\r\n${lines}\r\n${body}`;
}

/** What PutRecord is answered. */
export const STORED = answer(200, '{"ShardId":"shardId-000000000000","SequenceNumber":"1"}');

function connectionOf(conn: Deno.Conn, index: number, seen: string[]): RawConnection {
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  const fill = async () => {
    const read = await conn.read(buffer).catch(() => null);
    if (read === null) return false;
    for (let i = 0; i < read; i++) text += String.fromCharCode(buffer[i]!);
    return true;
  };
  return {
    index,
    async next() {
      let end: number;
      while ((end = text.indexOf("\r\n\r\n")) === -1) if (!await fill()) return undefined;
      const head = text.slice(0, end);
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
      text = text.slice(end + 4);
      while (text.length < length) if (!await fill()) return undefined;
      const body = text.slice(0, length);
      text = text.slice(length);
      seen.push(`${index} ${head.split("\r\n", 1)[0]}`);
      return { head, body };
    },
    async write(text) {
      const bytes = new TextEncoder().encode(text);
      for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
    },
    close: () => closeQuietly(conn),
  };
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}
