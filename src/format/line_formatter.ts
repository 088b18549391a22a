import type { Commit } from "../decode/event.ts";
import type {
  Change,
  Emit,
  FormatProblem,
  Formatter,
  PublishedTransaction,
  Unread,
} from "./formatter.ts";

const LINE_FEED = 0x0A;

/**
 * Ends each record of a formatter with a line feed, so that records that a consumer writes one after the
 * other are lines. A record that has one stays as it is, and so does an empty one, which is no line.
 */
export class LineFormatter implements Formatter {
  /** The record that is being given; who is given it copies it. */
  #line = new Uint8Array(1024);
  /** Of the present call; one function gives it on, not one a row. */
  #emit: Emit | undefined;
  readonly #emitLine: Emit = (partitionKey, data, route) => {
    this.#emit!(
      partitionKey,
      typeof data === "string" ? textLine(data) : this.#asLine(data),
      route,
    );
  };

  constructor(private readonly inner: Formatter) {}

  format(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    this.#emit = emit;
    return this.inner.format(change, this.#emitLine);
  }

  formatKeyOnly(change: Change, emit: Emit): FormatProblem | Unread | undefined {
    this.#emit = emit;
    return this.inner.formatKeyOnly(change, this.#emitLine);
  }

  commit(commit: Commit, emit: Emit, published: PublishedTransaction | undefined): void {
    this.#emit = emit;
    this.inner.commit?.(commit, this.#emitLine, published);
  }

  #asLine(data: Uint8Array): Uint8Array {
    const { length } = data;
    if (length === 0 || data[length - 1] === LINE_FEED) return data;
    if (this.#line.length <= length) this.#line = new Uint8Array(2 * length);
    this.#line.set(data);
    this.#line[length] = LINE_FEED;
    return this.#line.subarray(0, length + 1);
  }
}

const textLine = (text: string) => text === "" || text.endsWith("\n") ? text : text + "\n";
