/** The bytes of a backend message: type, length and body. */
export function backendMessage(type: string, body: Uint8Array | string = ""): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const message = new Uint8Array(5 + bytes.length);
  message[0] = type.charCodeAt(0);
  new DataView(message.buffer).setUint32(1, 4 + bytes.length);
  message.set(bytes, 5);
  return message;
}

/** An authentication request: 0 OK, 3 cleartext, 10 SASL, 11 SASLContinue. */
export function authentication(request: number, body = ""): Uint8Array {
  const text = new TextEncoder().encode(body);
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, request);
  bytes.set(text, 4);
  return backendMessage("R", bytes);
}

/** Whoever listens and speaks the protocol without being PostgreSQL. */
export class FalseServer implements AsyncDisposable {
  /** All that its clients said. */
  heard = "";
  readonly #open: Deno.Conn[] = [];
  readonly #serving: Promise<void>;

  private constructor(
    private readonly listener: Deno.Listener,
    talk: (client: FalseServer, connection: Deno.Conn) => Promise<void>,
  ) {
    this.#serving = (async () => {
      for await (const connection of listener) {
        this.#open.push(connection);
        // A client that goes away in the middle is what most of these tests are about.
        void talk(this, connection).catch(() => {});
      }
    })();
  }

  /** `talk` is given each connection; over a Unix socket where a path is given. */
  static listen(
    talk: (client: FalseServer, connection: Deno.Conn) => Promise<void>,
    at: { path: string } | { tls: Deno.ListenTlsOptions & Deno.TlsCertifiedKeyPem } | undefined =
      undefined,
  ): FalseServer {
    const listener = at === undefined
      ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
      : "path" in at
      ? Deno.listen({ transport: "unix", path: at.path })
      : Deno.listenTls(at.tls);
    return new FalseServer(listener as Deno.Listener, talk);
  }

  get port(): number {
    return (this.listener.addr as Deno.NetAddr).port;
  }

  /** What the client says next. */
  async hear(connection: Deno.Conn): Promise<string> {
    const buffer = new Uint8Array(65536);
    const size = await connection.read(buffer);
    if (size === null) throw new Error("the client is gone");
    // One character a byte.
    const text = String.fromCharCode(...buffer.subarray(0, size));
    this.heard += text;
    return text;
  }

  /** Listens for as long as the client speaks. */
  async hearOut(connection: Deno.Conn): Promise<void> {
    while (true) await this.hear(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.close();
    await this.#serving;
    for (const connection of this.#open) {
      try {
        connection.close();
      } catch {
        // It is closed already.
      }
    }
  }
}
