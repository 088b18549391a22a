import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, ForeignAnswer, HttpHandler } from "../../src/aws/http_handler.ts";
import { classify } from "../../src/kinesis/client/kinesis_failure.ts";
import { serveHttp } from "../support/fault_server/http1.ts";
import { answer, serveRaw, STORED } from "../support/raw_server.ts";

const ASKED = {
  verb: "put into",
  stream: "changes",
  region: "us-east-1",
  action: "kinesis:PutRecord",
};

Deno.test("describe keeps of a failed fetch where it went and why, once", () => {
  const refused = "tcp connect error: Connection refused (os error 111)";
  const start = "error sending request for url (http://127.0.0.1:1/)";
  const once = "http://127.0.0.1:1/: tcp connect error: Connection refused (os error 111)";
  // Deno 2.4, and newer ones.
  for (
    const error of [
      new TypeError(
        `${start}: client error (Connect): ${refused}: Connection refused (os error 111)`,
      ),
      new TypeError(start, {
        cause: new Error(`client error (Connect): ${refused}`, {
          cause: new Error("Connection refused (os error 111)"),
        }),
      }),
    ]
  ) assertEquals(describe(error), once);
  assertEquals(describe(new Error("connection reset")), "connection reset");
  const unknown = "failed to lookup address information: Name or service not known";
  assertEquals(
    describe(new Error(`client error (Connect): dns error: ${unknown}: ${unknown}`)),
    `dns error: ${unknown}`,
  );
});

interface Answer {
  readonly response: { readonly statusCode: number; readonly body: Uint8Array };
}

function ask(handler: HttpHandler, endpoint: string, requestTimeout = 10_000): Promise<Answer> {
  const { protocol, hostname, port } = new URL(endpoint);
  const request = {
    ...{ method: "POST", protocol, hostname, port: Number(port), path: "/" },
    headers: { "x-amz-security-token": "a-token" },
    body: "a record",
  };
  return handler.handle(request, { requestTimeout });
}

Deno.test("HttpHandler follows no redirect: what it would send is signed, and for one host", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    await using elsewhere = serveRaw(async (connection) => {
      while (await connection.next()) await connection.write(STORED);
    });
    const location = `${elsewhere.endpoint}/stolen?a=b`;
    await using server = serveRaw(async (connection) => {
      while (await connection.next()) await connection.write(answer(status, "", { location }));
    });
    const handler = new HttpHandler({ timeoutMs: 10_000, env: {} });
    const error = await assertRejects(() => ask(handler, server.endpoint), ForeignAnswer);
    assertEquals(
      error.message,
      `HTTP status ${status} from ${server.endpoint}, a redirect to ${elsewhere.endpoint}, which is not followed`,
    );
    assertEquals(elsewhere.seen, []);
    const failure = classify(error, ASKED);
    assertEquals([failure.kind, failure.detail], ["retry", error.message]);
    handler.destroy();
  }
});

Deno.test("HttpHandler takes a connection of its own after one that gave no answer", async () => {
  let isDead = false;
  // What a firewall that forgot them leaves of two connections: they take bytes, and give none.
  const bothAsk = Promise.withResolvers<void>();
  await using server = serveRaw(async (connection) => {
    while (await connection.next()) {
      if (isDead && connection.index < 2) continue;
      if (connection.index === 1) bothAsk.resolve();
      if (connection.index === 0) await bothAsk.promise;
      await connection.write(STORED);
    }
  });
  const handler = new HttpHandler({ timeoutMs: 10_000, env: {} });
  await Promise.all([ask(handler, server.endpoint), ask(handler, server.endpoint)]);
  assertEquals(new Set(server.seen.map((line) => line[0])), new Set(["0", "1"]));
  isDead = true;
  const error = await assertRejects(() => ask(handler, server.endpoint, 300), Error, "no answer");
  assertEquals(error.name, "TimeoutError");
  assertEquals((await ask(handler, server.endpoint)).response.statusCode, 200);
  assertEquals(server.seen.at(-1)![0], "2");
  handler.destroy();
});

Deno.test("HttpHandler sends each request to its own place, wherever those before it went", async () => {
  const seen: string[] = [];
  const serve = (name: string) =>
    serveHttp(0, ({ url }) => {
      seen.push(`${name} ${url.pathname}${url.search}`);
      return Promise.resolve({ status: 200, contentType: "application/json", body: "{}" });
    });
  await using one = serve("one");
  await using other = serve("other");
  const handler = new HttpHandler({ timeoutMs: 10_000, env: {} });
  const get = (port: number, path: string, query = {}) =>
    handler.handle({
      ...{ method: "GET", protocol: "http:", hostname: "127.0.0.1", headers: {} },
      ...{ port, path, query },
    });
  for (let round = 0; round < 2; round++) {
    await get(one.port, "/");
    await get(other.port, "/");
    await get(one.port, "/role");
    await get(one.port, "/role", { name: "a b" });
    await get(one.port, "/role", { name: ["c", "d"] });
    await get(one.port, "/role");
  }
  const once = [
    ...["one /", "other /", "one /role"],
    ...["one /role?name=a+b", "one /role?name=c&name=d", "one /role"],
  ];
  assertEquals(seen, [...once, ...once]);
  handler.destroy();
});

Deno.test("HttpHandler uses no connection that was idle for too long", async () => {
  await using server = serveRaw(async (connection) => {
    while (await connection.next()) await connection.write(STORED);
  });
  const handler = new HttpHandler({ timeoutMs: 10_000, env: {}, maxIdleMs: 200 });
  await ask(handler, server.endpoint);
  await ask(handler, server.endpoint);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await ask(handler, server.endpoint);
  assertEquals(server.seen.map((line) => line[0]), ["0", "0", "1"]);
  handler.destroy();
});

Deno.test("HttpHandler's deadline is for the whole answer, however slowly it comes", async () => {
  await using server = serveRaw(async (connection) => {
    await connection.next();
    await connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
    for (;;) {
      await connection.write("x");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  const handler = new HttpHandler({ timeoutMs: 10_000, env: {} });
  const error = await assertRejects(() => ask(handler, server.endpoint, 500), Error, "no answer");
  assertEquals(error.name, "TimeoutError");
  handler.destroy();
});

Deno.test("HttpHandler has copied a body once it returns: puts write the next one over it", async () => {
  const received: Uint8Array[] = [];
  await using server = serveHttp(0, ({ body }) => {
    received.push(body);
    return Promise.resolve({ status: 200, contentType: "application/json", body: "{}" });
  });
  const handler = new HttpHandler({ timeoutMs: 10_000, env: {} });
  const request = {
    method: "POST",
    protocol: "http:",
    hostname: "127.0.0.1",
    port: server.port,
    path: "/",
    headers: {},
  };
  for (const bytes of [1, 100, 1_500_000]) {
    const body = new Uint8Array(bytes).fill(bytes % 251);
    const answered = handler.handle({ ...request, body });
    body.fill(255);
    await answered;
    assertEquals(received.pop(), new Uint8Array(bytes).fill(bytes % 251));
  }
  handler.destroy();
});

Deno.test("HttpHandler tells a page of HTML by its status", async () => {
  const page = "<!doctype html><html><body>Access denied</body></html>";
  const kinds = { 403: "refused", 413: "refused", 502: "retry", 200: "retry" };
  for (const [status, kind] of Object.entries(kinds)) {
    await using server = serveRaw(async (connection) => {
      const text = answer(Number(status), page, { "content-type": "text/html; charset=utf-8" });
      while (await connection.next()) await connection.write(text);
    });
    const handler = new HttpHandler({ timeoutMs: 10_000, env: {} });
    const error = await assertRejects(() => ask(handler, server.endpoint), ForeignAnswer);
    const failure = classify(error, ASKED);
    assertEquals(failure.kind, kind);
    assertStringIncludes(failure.detail, `HTTP status ${status} from ${server.endpoint}`);
    handler.destroy();
  }
});

Deno.test("HttpHandler gives up an answer that is longer than any of AWS", async () => {
  await using server = serveRaw(async (connection) => {
    await connection.next();
    await connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const piece = "x".repeat(1024 * 1024);
    for (;;) await connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
  });
  const handler = new HttpHandler({ timeoutMs: 60_000, env: {} });
  await assertRejects(() => ask(handler, server.endpoint, 60_000), ForeignAnswer, "more than");
  handler.destroy();
});
