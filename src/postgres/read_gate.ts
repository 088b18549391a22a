import type { Socket } from "node:net";

/** The socket's own handle; Node has no public way to it. */
interface Handle {
  readStop(): number;
  readStart(): number;
}

/** Why a socket is not read: the pipeline has enough, or more shall gather first. */
export type StopReason = "full" | "gathering";

/**
 * Stops and starts the reading of a socket at its handle: bytes then wait in the kernel and, when its
 * buffer is full, at the server. `stream.pause()` is no help over TLS on Deno 2.9, which reads on.
 */
export class ReadGate {
  readonly #reasons: Set<StopReason> = new Set();

  constructor(private readonly socket: Socket) {}

  isStopped(reason: StopReason): boolean {
    return this.#reasons.has(reason);
  }

  /**
   * Only from inside the handler of a `data` event: Deno 2.4 has a read under way at any other time,
   * and a later `start` would begin a second one into the same buffer.
   */
  stop(reason: StopReason): void {
    if (this.#reasons.size === 0) this.#handle?.readStop();
    this.#reasons.add(reason);
  }

  /** Reads on once no reason is left. Not from inside the handler of a `data` event. */
  start(reason: StopReason): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#handle?.readStart();
  }

  /** Null once the socket is destroyed. */
  get #handle(): Handle | null {
    return (this.socket as unknown as { readonly _handle: Handle | null })._handle;
  }
}
