import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../base/clock.ts";
import { LastingTrouble } from "../base/lasting_trouble.ts";
import { type HttpRequest, readHead } from "./http_request.ts";

const logger = getLogger(["pg2kinesis", "telemetry"]);

/** Of a process that usually may have 1,024 files open, most of them for the run itself. */
const MAX_CONNECTIONS = 32;
/** For the whole head of a request. */
const HEAD_MS = 5_000;
/** For an answer to be read. */
const ANSWER_MS = 10_000;
/** A browser's cookies for other programs on this host are the most of it. */
const MAX_HEAD_BYTES = 16 * 1024;
/** Connections a second, and at once, that are taken: each costs the run a part of a millisecond. */
const MAX_RATE = 1_000;
const MAX_BURST = 256;
/** Before a connection that could not be accepted is tried again. */
const RETRY_MS = 250;
/** An answer that took 1 ms is followed by this many without one, so that asking cannot take the processor. */
const REST = 9;
const MAX_REST_MS = 100;
/** What comes behind a request is read for a while: a connection closed before would lose the answer. */
const LINGER_MS = 1_000;
const MAX_LINGER_BYTES = 64 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

interface Open {
  readonly connection: Deno.Conn;
  deadline: ReturnType<typeof setTimeout>;
}

/**
 * Answers requests of HTTP/1.1 beside the run, at whatever rate they come: few connections, one request
 * each, one answer at a time with a pause after it. When all connections are taken the oldest one
 * goes. Nothing that happens here fails. (`Deno.serve` has no such bounds, and the ones of `node:http`
 * are not kept on Deno 2.4, on which the executable is built.)
 */
export class HttpListener implements AsyncDisposable {
  /** In the order in which they came. */
  readonly #open = new Set<Open>();
  readonly #closing = new AbortController();
  readonly #accepting: Promise<void>;
  #turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly listener: Deno.Listener,
    private readonly answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>,
    private readonly clock: Clock = systemClock,
  ) {
    this.#accepting = this.#acceptAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.listener.close();
    for (const open of this.#open) this.#close(open);
    await this.#accepting;
    await this.#turn;
  }

  async #acceptAll(): Promise<void> {
    const { signal } = this.#closing;
    const trouble = new LastingTrouble(this.clock, { repeatMs: 60_000 });
    let paidUntilMs = -Infinity;
    while (!signal.aborted) {
      try {
        const connection = await this.listener.accept();
        if (signal.aborted) return connection.close();
        this.#take(connection);
      } catch (error) {
        if (signal.aborted) return;
        const why = error instanceof Error ? error.message : String(error);
        if (trouble.failed(why) !== undefined) {
          logger.warn("cannot accept connections to the metrics now: {why}", { why });
        }
        await this.clock.sleep(RETRY_MS, signal);
      }
      const nowMs = this.clock.now();
      paidUntilMs = Math.max(paidUntilMs, nowMs - MAX_BURST * 1000 / MAX_RATE) + 1000 / MAX_RATE;
      if (paidUntilMs > nowMs) await this.clock.sleep(paidUntilMs - nowMs, signal);
    }
  }

  #take(connection: Deno.Conn): void {
    const [oldest] = this.#open;
    if (this.#open.size >= MAX_CONNECTIONS) this.#close(oldest!);
    const open: Open = { connection, deadline: setTimeout(() => this.#close(open), HEAD_MS) };
    this.#open.add(open);
    this.#serve(open)
      .catch((error) => logger.debug("a connection to the metrics ended: {error}", { error }))
      .finally(() => this.#close(open));
  }

  #close(open: Open): void {
    if (!this.#open.delete(open)) return;
    clearTimeout(open.deadline);
    open.connection.close();
  }

  #extend(open: Open, ms: number): void {
    clearTimeout(open.deadline);
    if (this.#open.has(open)) open.deadline = setTimeout(() => this.#close(open), ms);
  }

  async #serve(open: Open): Promise<void> {
    const { connection } = open;
    const head = await readUntilEmptyLine(connection);
    if (head === undefined) return;
    this.#extend(open, ANSWER_MS);
    const bytes = encoder.encode(await this.#answerTo(head));
    for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
    this.#extend(open, LINGER_MS);
    await connection.closeWrite();
    const rest = new Uint8Array(4096);
    for (let read = 0; read < MAX_LINGER_BYTES;) {
      const length = await connection.read(rest);
      if (length === null) return;
      read += length;
    }
  }

  async #answerTo(head: string): Promise<string> {
    if (head.length >= MAX_HEAD_BYTES) return this.#render(plain(431, "the request is too long\n"));
    try {
      const request = readHead(head);
      return this.#render(await this.#inTurn(request), request.method === "HEAD");
    } catch (error) {
      if (error instanceof SyntaxError) return this.#render(plain(400, `${error.message}\n`));
      logger.debug("cannot answer: {error}", { error });
      return this.#render(plain(500, "cannot answer; the log of --log-level debug says why\n"));
    }
  }

  /** Behind all answers that were asked for before, and a pause in proportion to what the last one took. */
  async #inTurn(request: HttpRequest): Promise<HttpAnswer> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    const beganMs = this.clock.now();
    try {
      return await this.answer(request);
    } finally {
      const restMs = Math.min(REST * (this.clock.now() - beganMs), MAX_REST_MS);
      void this.clock.sleep(restMs, this.#closing.signal).then(resolve);
    }
  }

  #render({ status, headers, body }: HttpAnswer, withoutBody = false): string {
    const lines = Object.entries({
      ...headers,
      "content-length": String(encoder.encode(body).length),
      date: new Date(this.clock.wall()).toUTCString(),
      connection: "close",
    }).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines}\r\n${withoutBody ? "" : body}`;
  }
}

function plain(status: number, body: string): HttpAnswer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body };
}

/** A head, or as much of one as is too much; undefined when it does not come. */
async function readUntilEmptyLine(connection: Deno.Conn): Promise<string | undefined> {
  let head = "";
  const bytes = new Uint8Array(MAX_HEAD_BYTES);
  while (head.length < MAX_HEAD_BYTES) {
    const length = await connection.read(bytes);
    if (length === null) return undefined;
    const searched = Math.max(0, head.length - 3);
    head += decoder.decode(bytes.subarray(0, length));
    const end = /\r?\n\r?\n/.exec(head.slice(searched));
    if (end !== null) return head.slice(0, searched + end.index);
  }
  return head;
}
