/** Our signer against AWS's own, byte for byte. */
import { type BinaryLike, createHash, createHmac } from "node:crypto";
import { assertEquals, assertNotEquals } from "@std/assert";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Credentials } from "../../src/aws/credentials.ts";
import { hashBody, RequestSigner, type RequestToSign } from "../../src/aws/signature.ts";
import { randomFrom, randomSeed } from "../support/random.ts";

/** What the library wants of a hash. */
class Sha256 {
  readonly #hash;
  constructor(secret?: BinaryLike) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret);
  }
  update(data: Uint8Array): void {
    this.#hash.update(data);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {}
}

const SCOPE = { region: "eu-west-1", service: "kinesis" };

type WholeRequest = RequestToSign & { readonly body: Uint8Array<ArrayBuffer> };

async function libraryHeaders(request: WholeRequest, credentials: Credentials, atMs: number) {
  const signer = new SignatureV4({
    ...SCOPE,
    credentials,
    sha256: Sha256 as never,
    applyChecksum: false,
  });
  const headers = { ...request.headers };
  const signed = await signer.sign(
    { ...request, headers, hostname: "host", protocol: "https:" },
    { signingDate: new Date(atMs) },
  );
  return signed.headers;
}

Deno.test("RequestSigner signs random requests as the SDK's library does", async () => {
  const random = randomFrom(randomSeed());
  const upTo = (most: number) => Math.floor(random() * most);
  const text = (alphabet: string, length: number) => {
    const chars = [...alphabet];
    return Array.from({ length }, () => chars[upTo(chars.length)]).join("");
  };
  const WORD = "abcXYZ0189+/=_-";
  let credentials: Credentials = { accessKeyId: "AKIATEST", secretAccessKey: "test" };
  for (let round = 0; round < 300; round++) {
    if (random() < 0.3) {
      credentials = {
        accessKeyId: `AKIA${text(WORD, 12)}`,
        secretAccessKey: text(WORD, 1 + upTo(40)),
        ...random() < 0.5 ? { sessionToken: text(WORD, 1 + upTo(300)) } : {},
      };
    }
    const request = {
      method: "POST",
      path: random() < 0.5 ? "/" : `/${text("ab/./..//é %()'*!~$&", upTo(20))}`,
      headers: {
        host: `${text("abc.-", 8)}:${upTo(65536)}`,
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": `Kinesis_20131202.${text("PutRecord ", 12)}`,
        // Among those that a signature adds.
        ...random() < 0.5 ? { "x-amz-more": text(WORD, 8) } : {},
        ...random() < 0.5 ? { "x-more": text(" \té😀a", upTo(12)) } : {},
      },
      // One in twenty long enough to be hashed by another thread.
      body: new TextEncoder().encode(
        text('{"Data":"é😀}', upTo(60)).repeat(random() < 0.05 ? 10_000 : 1),
      ),
    };
    // Back and forth over midnight and years, as clocks that are set.
    const atMs = Date.UTC(2026, 0, 1) + Math.floor((random() - 0.5) * 2 * 86_400_000 * 400);
    assertEquals(
      new RequestSigner(SCOPE, request).sign(await hashBody(request.body), credentials, atMs),
      await libraryHeaders(request, credentials, atMs),
      `${JSON.stringify({ ...request, body: request.body.length })} at ${atMs}`,
    );
  }
});

Deno.test("RequestSigner signs with the secret that it is given, whatever it signed with before", () => {
  const signer = new RequestSigner(SCOPE, { method: "POST", path: "/", headers: { host: "h" } });
  const sign = (secretAccessKey: string, sessionToken?: string) =>
    signer.sign("00", { accessKeyId: "A", secretAccessKey, sessionToken }, 0);
  const first = sign("one");
  const second = sign("two");
  assertNotEquals(first.authorization, second.authorization);
  assertNotEquals(sign("one", "token").authorization, first.authorization);
  assertEquals(sign("one"), first);
});
