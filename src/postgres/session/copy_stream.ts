import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import type { Connection } from "../connection/connection.ts";
import { isTlsComplete } from "../../libpq/tls.ts";
import { MessageFramer } from "./message_framer.ts";
import { ReadGate } from "./read_gate.ts";
import { GATHER_MS, ReadPacer } from "./read_pacer.ts";

/** The callbacks of a {@linkcode CopyStream}, called synchronously while it reads. */
export interface CopyStreamEvents {
  /** A CopyData message lies from `start` to `end`; the bytes may be kept. `missing` were not. */
  copyData(bytes: Uint8Array, start: number, end: number, missing: number): void;
  /** Whether of a long CopyData message, which begins with `head`, the `missing` rest can be dropped. */
  needsOnlyHead(head: Uint8Array, missing: number): boolean;
  /** A whole NoticeResponse. */
  notice(message: Uint8Array): void;
  /** One read of the socket is done. True: read no more until `resume`. */
  endOfRead(bytes: number): boolean;
  /** What came is not the protocol, or a handler threw. */
  broken(error: Error): void;
}

const COPY_DATA = "d".charCodeAt(0);
const COPY_BOTH_RESPONSE = "W".charCodeAt(0);
const NOTICE_RESPONSE = "N".charCodeAt(0);

/**
 * A connection while it streams. npm:pg logs in and understands all messages but the two that matter
 * here: its own events for them cost a third more time a message, reuse the bytes of earlier ones,
 * and do not show a notice's untranslated severity.
 */
export class CopyStream {
  readonly #gate: ReadGate;
  readonly #pacer: ReadPacer | undefined;
  #onStart: (() => void) | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly events: CopyStreamEvents,
    private readonly clock: Pick<Clock, "now">,
  ) {
    this.#gate = new ReadGate(connection.socket);
    // TLS of Deno 2.4 never gives more than 4 kB at once, so that nothing gathers.
    if (isTlsComplete() || !connection.attempt.encrypted) this.#pacer = new ReadPacer();
  }

  /** Whether the socket is read, or will be in a moment. */
  get isReading(): boolean {
    return this.#gate.isOpen;
  }

  /** Reads on after `endOfRead` asked for a stop. */
  resume(): void {
    this.#gate.start();
  }

  /**
   * Sends a command that answers with CopyBothResponse, and resolves with that. After that the
   * promise `ended` resolves at the end.
   * @throws what npm:pg gives, when the server refuses.
   */
  async start(command: string): Promise<{ readonly ended: Promise<Error | undefined> }> {
    const { stream, client } = this.connection;
    // Nothing is under way now, so both parsers are between two messages.
    const [toClient] = stream.listeners("data") as ((chunk: Buffer) => void)[];
    const framer = new MessageFramer((bytes, start, end, missing) => {
      const type = bytes[start];
      if (type === COPY_DATA) this.events.copyData(bytes, start, end, missing);
      else if (type === NOTICE_RESPONSE) this.events.notice(bytes.subarray(start, end));
      else if (type === COPY_BOTH_RESPONSE) this.#onStart?.();
      else toClient!(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start));
    }, (head, missing) => head[0] === COPY_DATA && this.events.needsOnlyHead(head, missing));
    stream.on("data", (chunk: Buffer) => {
      try {
        // Views of a Buffer cost several times those of a plain array.
        framer.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
        if (this.events.endOfRead(chunk.length)) this.#gate.stop();
        else if (this.#pacer?.shouldGather(chunk.length, this.clock.now())) sleepBriefly();
      } catch (error) {
        this.events.broken(error as Error);
      }
    });
    stream.removeListener("data", toClient!);

    const started = new Promise<void>((resolve) => this.#onStart = resolve);
    const copying = this.connection.untilDestroyed(client.query(command));
    const ended = copying.then(() => undefined, (error: Error) => error);
    const failure = await Promise.race([started, ended]);
    if (failure instanceof Error) throw failure;
    return { ended };
  }

  write(message: Uint8Array): void {
    if (this.connection.stream.writable) this.connection.stream.write(message);
  }
}

const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * The whole thread sleeps, and that is the point: while it only reads no more, each message that
 * arrives still wakes the event loop, and takes the walsender the time to wake it. Measured: a third
 * of the time that both take.
 */
function sleepBriefly(): void {
  Atomics.wait(sleepCell, 0, 0, GATHER_MS);
}
