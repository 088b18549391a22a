import { Buffer } from "node:buffer";
import { createHmac, hash } from "node:crypto";
import type { Credentials } from "./credentials.ts";

/** What a signature is for. */
export interface SigningScope {
  readonly region: string;
  readonly service: string;
}

/** What is the same in requests with a body and without a query. */
export interface RequestToSign {
  readonly method: string;
  readonly path: string;
  /** By lower-case name; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
}

const DATE_HEADER = "x-amz-date", TOKEN_HEADER = "x-amz-security-token";
/** With bodies of 140 KiB, into sixteen shards, another thread cost more than it took over. */
const WORTH_A_THREAD_BYTES = 512 * 1024;
const ALGORITHM = "AWS4-HMAC-SHA256";

/**
 * AWS Signature Version 4 of requests with their whole body, without waiting. The SDK's own signer
 * awaits a dozen times and hashes the secret for each request, which costs more than a small put. Here
 * only what a request has of its own is left to do for each.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export class RequestSigner {
  /** The canonical headers, cut where the time stands and where a session token does. */
  readonly #lines: readonly [string, string, string];
  readonly #names: { readonly plain: string; readonly withToken: string };
  readonly #start: string;
  /** Of the last day and secret: a day has many thousand requests. */
  #key: { readonly of: string; readonly mac: Mac } | undefined;

  constructor(private readonly scope: SigningScope, private readonly request: RequestToSign) {
    const { method, path, headers } = request;
    const names = Object.keys(headers);
    const linesBetween = (from: string, to: string) =>
      names.filter((name) => name > from && name < to).sort()
        .map((name) => `${name}:${canonicalValue(headers[name]!)}\n`).join("");
    this.#lines = [
      linesBetween("", DATE_HEADER),
      linesBetween(DATE_HEADER, TOKEN_HEADER),
      linesBetween(TOKEN_HEADER, "\uFFFF"),
    ];
    const plain = [...names, DATE_HEADER].sort().join(";");
    this.#names = { plain, withToken: [...names, DATE_HEADER, TOKEN_HEADER].sort().join(";") };
    this.#start = `${method}\n${canonicalPath(path)}\n\n`;
  }

  /** The headers to send: those of the request, and those that a signature adds. */
  sign(
    /** From {@linkcode hashBody}. */
    bodyHash: string,
    { accessKeyId, secretAccessKey, sessionToken }: Credentials,
    atMs: number,
  ): Record<string, string> {
    const time = new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, "");
    const day = time.slice(0, 8);
    const names = sessionToken ? this.#names.withToken : this.#names.plain;
    const [first, second, third] = this.#lines;
    const token = sessionToken ? `${TOKEN_HEADER}:${canonicalValue(sessionToken)}\n` : "";
    const canonical =
      `${this.#start}${first}${DATE_HEADER}:${time}\n${second}${token}${third}\n${names}\n${bodyHash}`;
    const scope = `${day}/${this.scope.region}/${this.scope.service}/aws4_request`;
    const toSign = `${ALGORITHM}\n${time}\n${scope}\n${sha256(canonical)}`;
    const signature = this.#signingKey(secretAccessKey, day).hex(toSign);
    const headers: Record<string, string> = { ...this.request.headers, [DATE_HEADER]: time };
    if (sessionToken) headers[TOKEN_HEADER] = sessionToken;
    headers.authorization = `${ALGORITHM} Credential=${accessKeyId}/${scope}, ` +
      `SignedHeaders=${names}, Signature=${signature}`;
    return headers;
  }

  #signingKey(secret: string, day: string): Mac {
    const of = `${day} ${secret}`;
    if (this.#key?.of !== of) {
      const { region, service } = this.scope;
      const key = [day, region, service, "aws4_request"]
        .reduce<Buffer | string>((key, part) => hmac(key, part), `AWS4${secret}`) as Buffer;
      this.#key = { of, mac: new Mac(key) };
    }
    return this.#key.mac;
  }
}

/** Normalized, and encoded once more than it is sent, as for every service but S3. */
function canonicalPath(path: string): string {
  if (path === "/") return path;
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(segment);
  }
  const end = segments.length > 0 && path.endsWith("/") ? "/" : "";
  return (path.startsWith("/") ? "/" : "") +
    segments.map((segment) => encodeUri(segment)).join("/") + end;
}

function encodeUri(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function canonicalValue(value: string): string {
  return value.replace(/[ \t\r\n]+/g, " ").replace(/^ | $/g, "");
}

const BLOCK_BYTES = 64;

/**
 * HMAC-SHA256 with one key of at most 64 bytes (RFC 2104). `createHmac` makes a stream and pads the key for
 * each text, which costs several times the two hashes.
 */
class Mac {
  readonly #inner = Buffer.alloc(BLOCK_BYTES, 0x36);
  readonly #outer = Buffer.alloc(BLOCK_BYTES + 32, 0x5C);

  constructor(key: Buffer) {
    key.forEach((byte, i) => {
      this.#inner[i]! ^= byte;
      this.#outer[i]! ^= byte;
    });
  }

  hex(text: string): string {
    const inner = hash("sha256", Buffer.concat([this.#inner, Buffer.from(text)]), "hex");
    this.#outer.write(inner, BLOCK_BYTES, "hex");
    return hash("sha256", this.#outer, "hex");
  }
}

/**
 * SHA-256 of a request's body, in hexadecimal digits. That of a long one is for another thread, which reads
 * a copy: the way there and back costs a quarter of what it takes over.
 */
export async function hashBody(body: Uint8Array<ArrayBuffer>): Promise<string> {
  if (body.length < WORTH_A_THREAD_BYTES) return sha256(body);
  return Buffer.from(await crypto.subtle.digest("SHA-256", body)).toString("hex");
}

function sha256(data: Uint8Array | string): string {
  return hash("sha256", data, "hex");
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
