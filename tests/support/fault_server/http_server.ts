import { Buffer } from "node:buffer";
import { cbor } from "@smithy/core/cbor";
import { ConnectionCut, type FaultyService } from "./faulty_service.ts";
import { parseChances, parseScript } from "./fault_plan.ts";
import { type HttpRequest, type HttpResponse, serveHttp } from "./http1.ts";
import { ServiceError } from "./service_error.ts";

const TARGET_PREFIX = "Kinesis_20131202.";
const CBOR = "application/x-amz-cbor-1.1";

export interface FaultServer extends AsyncDisposable {
  /** `http://127.0.0.1:4567` */
  readonly endpoint: string;
  readonly faulty: FaultyService;
}

/**
 * Serves a faulty Kinesis over HTTP: the API as JSON 1.1, as the SDK speaks it, or CBOR 1.1 where a
 * request is that, and under `/admin/` what a campaign in another process needs:
 *
 * - `GET /admin/records?stream=NAME`: all Kinesis records in the order of their arrival, one JSON a line
 * - `GET /admin/shards?stream=NAME`: the shards with ranges and parents
 * - `GET /admin/usage?stream=NAME`: what each shard that is held to a limit took and refused
 * - `GET /admin/stats`: puts and faults so far
 * - `POST /admin/faults?chances=throttle=0.1,split=0.01&script=12=merge&slowMs=500`: other faults from now on
 * - `POST /admin/stick?from=4&sixteenths=2`: throttles all puts into a part of the hash space
 * - `POST /admin/reshard?stream=NAME&kind=split`: now
 */
export function serveFaults(faulty: FaultyService, port = 0): FaultServer {
  const server = serveHttp(port, async (request) => {
    try {
      return await answer(faulty, request);
    } catch (error) {
      if (error instanceof ConnectionCut) return undefined;
      if (!(error instanceof ServiceError)) console.error(error);
      const { name, message, status = 500 } = error as ServiceError;
      return respond(status, { __type: name, message }, isCbor(request));
    }
  });
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    faulty,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function answer(faulty: FaultyService, request: HttpRequest): Promise<HttpResponse> {
  const { method, url, headers, body } = request;
  if (url.pathname.startsWith("/admin/")) {
    const text = administer(faulty, `${method} ${url.pathname}`, url.searchParams);
    return { status: 200, contentType: "application/json", body: text };
  }
  const target = headers.get("x-amz-target");
  if (!target?.startsWith(TARGET_PREFIX)) {
    throw new ServiceError("UnknownOperationException", `no operation ${target}`, 404);
  }
  const input = isCbor(request) ? cbor.deserialize(body) : parseInput(body);
  const output = await faulty.call(target.slice(TARGET_PREFIX.length), input);
  return respond(200, output, isCbor(request));
}

function isCbor({ headers }: HttpRequest): boolean {
  return headers.get("content-type") === CBOR;
}

/** Blobs are base64 in JSON 1.1; every one that comes in is called Data. */
function parseInput(body: Uint8Array): unknown {
  return JSON.parse(
    new TextDecoder().decode(body),
    (key, value) => key === "Data" ? new Uint8Array(Buffer.from(value, "base64")) : value,
  );
}

function respond(status: number, content: object, asCbor: boolean): HttpResponse {
  if (asCbor) return { status, contentType: CBOR, body: cbor.serialize(content) };
  const body = JSON.stringify(
    content,
    (_key, value) => value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
  );
  return { status, contentType: "application/x-amz-json-1.1", body };
}

function administer(faulty: FaultyService, what: string, query: URLSearchParams): string {
  const { service, plan } = faulty;
  const name = query.get("stream") ?? "";
  switch (what) {
    case "GET /admin/records":
      return service.stream(name).records.map((put) =>
        JSON.stringify({ ...put, data: Buffer.from(put.data).toString("base64") }) + "\n"
      ).join("");
    case "GET /admin/shards":
      return JSON.stringify(
        service.stream(name).shards.map(({ id, start, end, parents, endingSequenceNumber }) => ({
          id,
          start: String(start),
          end: String(end),
          parents,
          isOpen: endingSequenceNumber === undefined,
        })),
      );
    case "GET /admin/usage":
      return JSON.stringify(
        service.stream(name).shards.map(({ id, throughput }) => ({ id, ...throughput?.usage })),
      );
    case "GET /admin/stats":
      return JSON.stringify({ puts: plan.puts, faults: plan.total, injected: plan.injected });
    case "POST /admin/faults":
      plan.settings = {
        ...plan.settings,
        chances: parseChances(query.get("chances") ?? ""),
        script: parseScript(query.get("script") ?? ""),
        slowMs: Number(query.get("slowMs") ?? plan.settings.slowMs),
      };
      return "{}";
    case "POST /admin/stick": {
      const start = BigInt(query.get("from") ?? 0) << 124n;
      faulty.stuck = { start, end: start + (BigInt(query.get("sixteenths") ?? 0) << 124n) };
      return "{}";
    }
    case "POST /admin/reshard":
      faulty.reshard(name, query.get("kind") as "split" | "merge" | "rescale");
      return "{}";
    default:
      throw new ServiceError("UnknownOperationException", `no ${what} here`, 404);
  }
}
