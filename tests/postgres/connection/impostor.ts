import type { TestPostgres } from "../../support/test_postgres.ts";
import type { Certificate } from "../../support/certificates.ts";

/** `SSLRequest`: its length, 8, and its code. */
const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * A man in the middle: ends TLS with a certificate of its own and passes everything on over another
 * TLS to the true server. Its clients begin with TLS at once (`sslnegotiation=direct`).
 */
export class Impostor implements Disposable {
  readonly #listener: Deno.TlsListener;
  readonly #open: Deno.Conn[] = [];

  constructor(
    certificate: Certificate,
    private readonly target: Pick<TestPostgres, "host" | "port">,
    private readonly targetCa: string,
    /** What it says in ALPN; a true server says `postgresql`. */
    alpnProtocols: string[] = ["postgresql"],
  ) {
    this.#listener = Deno.listenTls({
      ...{ hostname: "127.0.0.1", port: 0, alpnProtocols },
      ...certificate,
    });
    void this.#serve();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
  }

  async #serve(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        this.#open.push(client);
        this.#pass(client).catch(() => close(client));
      }
    } catch {
      // The listener is closed, or a client went away in its handshake.
    }
  }

  async #pass(client: Deno.TlsConn): Promise<void> {
    await client.handshake();
    const plain = await Deno.connect({ hostname: this.target.host, port: this.target.port });
    await plain.write(SSL_REQUEST);
    await plain.read(new Uint8Array(1));
    const server = await Deno.startTls(plain, { hostname: "localhost", caCerts: [this.targetCa] });
    this.#open.push(server);
    await Promise.all([
      client.readable.pipeTo(server.writable),
      server.readable.pipeTo(client.writable),
    ]);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
