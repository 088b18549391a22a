/**
 * As much of an HTTP/1.1 server as an SDK client needs, on plain sockets: so a connection can be cut at
 * any moment, which servers of a runtime do not let one do everywhere (Deno 2.4's node:http does not).
 */

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
}

export interface HttpResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** Answers a request; undefined cuts the connection. */
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse | undefined>;

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/** Serves on 127.0.0.1; port 0 takes a free one. */
export function serveHttp(port: number, handler: HttpHandler): HttpServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const connections = new Set<Deno.Conn>();
  const accepting = (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      serveConnection(connection, handler).catch(() => {}).finally(() => {
        connections.delete(connection);
        close(connection);
      });
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const connection of connections) close(connection);
      await accepting;
    },
  };
}

/** Requests of one connection, one after the other, until either side ends it. */
async function serveConnection(connection: Deno.Conn, handler: HttpHandler): Promise<void> {
  const reader = new ByteReader(connection);
  for (;;) {
    const head = await reader.through("\r\n\r\n");
    if (head === undefined) return;
    const [requestLine = "", ...lines] = head.trimEnd().split("\r\n");
    const [method = "", target = ""] = requestLine.split(" ");
    const headers = new Headers(
      lines.map((
        line,
      ) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const body = await reader.exactly(Number(headers.get("content-length") ?? 0));
    const url = new URL(target, "http://127.0.0.1");
    const response = await handler({ method, url, headers, body });
    if (response === undefined) return;
    await writeAll(connection, formatResponse(response));
  }
}

function formatResponse({ status, contentType, body }: HttpResponse): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const head = new TextEncoder().encode(
    `HTTP/1.1 ${status} \r\ncontent-type: ${contentType}\r\ncontent-length: ${bytes.length}\r\n` +
      `x-amzn-requestid: ${crypto.randomUUID()}\r\n\r\n`,
  );
  const response = new Uint8Array(head.length + bytes.length);
  response.set(head);
  response.set(bytes, head.length);
  return response;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(bytes.subarray(written));
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed already.
  }
}

/** Reads a connection by delimiters and lengths. */
class ByteReader {
  #buffer = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;

  constructor(private readonly connection: Deno.Conn) {}

  /** Text up to and with `delimiter`; undefined at the end of the connection. */
  async through(delimiter: string): Promise<string | undefined> {
    for (;;) {
      const text = new TextDecoder("latin1").decode(this.#buffer.subarray(this.#start, this.#end));
      const found = text.indexOf(delimiter);
      if (found >= 0) {
        this.#start += found + delimiter.length;
        return text.slice(0, found + delimiter.length);
      }
      if (!await this.#fill()) return undefined;
    }
  }

  async exactly(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#end - this.#start < length) {
      if (!await this.#fill()) throw new Error("the connection ended inside a request");
    }
    this.#start += length;
    return this.#buffer.slice(this.#start - length, this.#start);
  }

  async #fill(): Promise<boolean> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const read = await this.connection.read(this.#buffer.subarray(this.#end));
    this.#end += read ?? 0;
    return read !== null;
  }
}
