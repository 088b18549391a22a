import type { Socket } from "node:net";

/** The socket's own handle; Node has no public way to it. */
interface Handle {
  readStop(): number;
  readStart(): number;
}

/**
 * Stops and starts the reading of a socket at its handle: bytes then wait in the kernel and, when its
 * buffer is full, at the server. `stream.pause()` is no help over TLS on Deno 2.9, which reads on.
 */
export class ReadGate {
  #open = true;

  constructor(private readonly socket: Socket) {}

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Only from inside the handler of a `data` event: Deno 2.4 has a read under way at any other time,
   * and a later `start` would begin a second one into the same buffer.
   */
  stop(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#handle?.readStop();
  }

  /** Not from inside the handler of a `data` event. */
  start(): void {
    if (this.#open) return;
    this.#open = true;
    this.#handle?.readStart();
  }

  /** Null once the socket is destroyed. */
  get #handle(): Handle | null {
    return (this.socket as unknown as { readonly _handle: Handle | null })._handle;
  }
}
