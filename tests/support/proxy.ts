/** A TCP proxy that loses connections in the ways that networks do. */
export class Proxy implements Disposable {
  readonly #listener: Deno.TcpListener;
  #open: Deno.Conn[] = [];
  #serverSides: Deno.Conn[] = [];
  #stalled = false;
  /** Gets what the server says before it is passed on, which waits for the promise. */
  beforeAnswer: (bytes: Uint8Array) => Promise<void> | void = () => {};
  /** Gives what is passed on of what the server says. */
  passOn: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;
  /** Gives what is passed on of what a client says. */
  passUp: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;
  /** Wakes the stalled copies. */
  #release = Promise.withResolvers<void>();

  constructor(
    private readonly target: { readonly host: string; readonly port: number },
    hostname = "127.0.0.1",
  ) {
    this.#listener = Deno.listen({ hostname, port: 0 });
    void this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Ends all connections, as a firewall that was restarted does. */
  cut(): void {
    for (const connection of this.#open.splice(0)) close(connection);
  }

  /** Takes and gives nothing any more, and tells nobody, as a router that lost its state does. */
  stall(): void {
    this.#stalled = true;
  }

  /** Ends all connections for the server, and tells nobody else: half of each stays open. */
  halfOpen(): void {
    this.#stalled = true;
    for (const connection of this.#serverSides.splice(0)) close(connection);
  }

  /** What was stalled is lost; new connections work. */
  heal(): void {
    this.#stalled = false;
    this.cut();
    this.#release.resolve();
    this.#release = Promise.withResolvers();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.heal();
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) {
      try {
        const server = await Deno.connect({ hostname: this.target.host, port: this.target.port });
        this.#open.push(client, server);
        this.#serverSides.push(server);
        void this.#copy(client, server);
        void this.#copy(server, client);
      } catch {
        close(client);
      }
    }
  }

  async #copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      while (true) {
        const size = await from.read(buffer);
        if (this.#stalled) await this.#release.promise;
        if (size === null) break;
        let bytes: Uint8Array = buffer.subarray(0, size);
        if (this.#serverSides.includes(from)) {
          await this.beforeAnswer(bytes);
          bytes = this.passOn(bytes);
        } else bytes = this.passUp(bytes);
        for (let sent = 0; sent < bytes.length;) sent += await to.write(bytes.subarray(sent));
      }
    } catch {
      // Closed by either side; the other one of a stalled way does not hear of it.
      if (this.#stalled) await this.#release.promise;
    }
    close(from);
    close(to);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
