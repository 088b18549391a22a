import { RunError } from "../base/errors.ts";
import { untilAborted } from "../base/until_aborted.ts";
import type { ListenAddress } from "../options.ts";
import { addressText } from "./telemetry_server.ts";

/** Longer than a busy run needs, shorter than what health checks wait for. */
const TIMEOUT_MS = 4_000;
/** An answer of ours is shorter. */
const MAX_ANSWER_BYTES = 4 * 1024;

/** What a run says of itself. */
export interface Health {
  readonly isWell: boolean;
  /** One line. */
  readonly words: string;
}

/**
 * Asks the run that serves `address`, from the same machine. Over a socket, since `fetch` asks the proxy of
 * `HTTP_PROXY` for everything, and a run that it cannot reach is not ill.
 * @throws {RunError} if nothing answers there, or something that is no run.
 */
export async function probe(address: ListenAddress, path: string): Promise<Health> {
  const own = { ...address, hostname: reachable(address.hostname) };
  const asked = `GET http://${addressText(own)}${path}`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let connection: Deno.TcpConn | undefined;
  let answer: string;
  try {
    const connecting = Deno.connect(own).then((made) => connection = made);
    answer = await untilAborted(connecting.then((made) => exchange(made, own, path)), signal);
  } catch (error) {
    throw new RunError(`${asked}: ${whyNot(error, signal)}`, { cause: error });
  } finally {
    connection?.close();
  }
  const { status, body } =
    /^HTTP\/1\.[01] (?<status>\d{3}) .*?\r\n\r\n(?<body>.*?)\n*$/s.exec(answer)?.groups ?? {};
  if (status !== "200" && status !== "503") {
    throw new RunError(
      `${asked} was answered by something that is no run of pg2kinesis` +
        (status === undefined ? "" : `, with HTTP status ${status}`) +
        "; compare its --metrics-addr",
    );
  }
  return { isWell: status === "200", words: body! };
}

async function exchange(
  connection: Deno.TcpConn,
  address: ListenAddress,
  path: string,
): Promise<string> {
  const request = `GET ${path} HTTP/1.1\r\nHost: ${
    addressText(address)
  }\r\nConnection: close\r\n\r\n`;
  await connection.writable.getWriter().write(new TextEncoder().encode(request));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(MAX_ANSWER_BYTES);
  let text = "";
  while (text.length < MAX_ANSWER_BYTES) {
    const length = await connection.read(buffer);
    if (length === null) break;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return text;
}

/** Who listens on all addresses can be reached by that of the machine itself. */
function reachable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  return hostname === "::" ? "::1" : hostname;
}

function whyNot(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return `no answer within ${TIMEOUT_MS / 1000} s`;
  if (error instanceof Deno.errors.ConnectionRefused) {
    return "nothing listens there; is the run started, with the same --metrics-addr?";
  }
  return error instanceof Error ? error.message : String(error);
}
