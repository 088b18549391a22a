import { assert, assertEquals, assertMatch } from "@std/assert";
import { HttpListener } from "../../src/telemetry/http_listener.ts";
import { RunObserver } from "../../src/telemetry/observer.ts";
import { serveTelemetry } from "../../src/telemetry/telemetry_server.ts";
import { waitFor } from "../support/wait.ts";

const HOST = { hostname: "127.0.0.1" };
const NAMES = {
  host: "h",
  database: "d",
  slot: "s",
  plugin: "pgoutput",
  stream: "k",
};

const SAID = {
  "nothing, as a browser that may ask later": "",
  "half a request": "GET /metrics HTTP/1.1\r\nHost: here\r\n",
  "a request whose body does not come":
    "GET /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n",
};

for (const [said, bytes] of Object.entries(SAID)) {
  Deno.test(`the end of a run does not wait for a connection that says ${said}`, async () => {
    const observer = new RunObserver(NAMES);
    const server = serveTelemetry({ ...HOST, port: 0 }, { readyLag: undefined }, observer);
    using connection = await Deno.connect({ ...HOST, port: server.port });
    await connection.write(new TextEncoder().encode(bytes));
    // One that came later was accepted later.
    assertEquals(await (await fetch(`http://127.0.0.1:${server.port}/healthz`)).text(), "ok\n");
    let hasEnded = false;
    void server[Symbol.asyncDispose]().then(() => hasEnded = true);
    await waitFor(() => hasEnded, { what: "the end", timeoutMs: 10_000 });
  });
}

/** A server of a run that has not begun, and what it says to the bytes of a connection. */
function serve(metricsHosts: readonly string[] = []) {
  const observer = new RunObserver(NAMES);
  const server = serveTelemetry(
    { ...HOST, port: 0 },
    { readyLag: undefined, metricsHosts },
    observer,
  );
  const ask = async (said: string) => {
    using connection = await Deno.connect({ ...HOST, port: server.port });
    await connection.write(new TextEncoder().encode(said));
    return await allOf(connection);
  };
  return { ...HOST, port: server.port, ask, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
}

async function allOf(connection: Deno.Conn): Promise<string> {
  let text = "";
  const bytes = new Uint8Array(64 * 1024);
  for (let length; (length = await connection.read(bytes).catch(() => null)) !== null;) {
    text += new TextDecoder().decode(bytes.subarray(0, length));
  }
  return text;
}

Deno.test("the metrics are for addresses, the loopback's names and those that are given, and for no other host", async () => {
  await using server = serve(["Bastion.internal"]);
  const statusFor = async (lines: string, target = "/page.json") =>
    Number((await server.ask(`GET ${target} HTTP/1.1\r\n${lines}\r\n`)).split(" ")[1]);
  for (
    const host of [
      ...["127.0.0.1", "127.0.0.1:9187", "10.1.2.3", "[::1]:80", "[fe80::1]", "localhost"],
      ...[
        "LOCALHOST:9187",
        "a.localhost",
        "localhost.",
        "bastion.internal:9187",
        "BASTION.internal.",
      ],
    ]
  ) assertEquals(await statusFor(`Host: ${host}\r\n`), 200, host);
  for (
    const host of [
      ...["evil.example", "evil.example:9187", "localhost.evil.example", "127.0.0.1.nip.io"],
      ...["bastion", "x.bastion.internal", "1.2.3", "1.2.3.4.5", "0x7f.1"],
    ]
  ) assertEquals(await statusFor(`Host: ${host}\r\n`), 421, host);
  for (
    const lines of [
      ...["", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", "Host:\r\n", "Host: u@127.0.0.1\r\n"],
      ...["Host: 127.0.0.1\r\n folded\r\n", "Host : 127.0.0.1\r\n"],
    ]
  ) assertEquals(await statusFor(lines), 400, lines);
  const asProxy = (url: string) => statusFor("Host: 127.0.0.1\r\n", url);
  assertEquals(await asProxy("http://evil.example/page.json"), 421);
  assertEquals(await asProxy("http://localhost:1/page.json"), 200);
  // Behind two slashes a URL would have a host.
  for (const path of ["//", "//:", "//evil.example/page.json", "//[/"]) {
    assertEquals(await asProxy(path), 404, path);
  }
});

Deno.test("HTTP/1.0, as health checks of load balancers speak it, needs no host, and no wrong one", async () => {
  await using server = serve();
  const statusFor = async (head: string) =>
    Number((await server.ask(`${head}\r\n\r\n`)).split(" ")[1]);
  assertEquals(await statusFor("GET /healthz HTTP/1.0"), 200);
  assertEquals(await statusFor("GET /healthz HTTP/1.0\r\nHost: localhost"), 200);
  assertEquals(await statusFor("GET /healthz HTTP/1.0\r\nHost: evil.example"), 421);
  assertEquals(await statusFor("GET http://evil.example/healthz HTTP/1.0"), 421);
  assertEquals(await statusFor("GET /healthz HTTP/1.0\r\nHost: localhost\r\nHost: localhost"), 400);
  assertEquals(await statusFor("GET /healthz HTTP/1.1"), 400);
});

Deno.test("one connection gets one answer, however many requests it holds", async () => {
  await using server = serve();
  const said = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
  const answers = await server.ask(said);
  assertEquals(answers.split("HTTP/1.1 200 OK").length - 1, 1);
  assertMatch(answers, /\r\nconnection: close\r\n/);
  const head = await server.ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assertMatch(head, /^HTTP\/1\.1 200 OK\r\n[^]*\r\ncontent-length: 3\r\n[^]*\r\n\r\n$/);
  assertMatch(await server.ask("nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assertMatch(await server.ask(`GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`), /^HTTP\/1\.1 431 /);
});

Deno.test("connections that say nothing are few, and go when others come or time is over", async () => {
  await using server = serve();
  let gone = 0;
  const silent = await Promise.all(Array.from({ length: 100 }, async () => {
    const connection = await Deno.connect({ ...HOST, port: server.port });
    void allOf(connection).then(() => gone++);
    return connection;
  }));
  // While they are there, whoever asks is answered.
  for (let n = 0; n < 3; n++) {
    const answer = await server.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assertMatch(answer, /\r\n\r\nok\n$/);
  }
  assert(gone >= 100 - 32, `${gone} are gone`);
  await waitFor(() => gone === 100, { what: "the rest to go", found: () => String(gone) });
  for (const connection of silent) connection.close();
});

Deno.test("a listener that has no file left for a connection tries again", async () => {
  const real = Deno.listen({ ...HOST, port: 0 });
  let failures = 0;
  const listener = Object.assign(Object.create(real), {
    accept: () => failures++ < 2 ? Promise.reject(new Error("Too many open files")) : real.accept(),
    close: () => real.close(),
  });
  await using _ = new HttpListener(listener, () => ({ status: 200, headers: {}, body: "here" }));
  using connection = await Deno.connect({ ...HOST, port: real.addr.port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"));
  assertMatch(await allOf(connection), /\r\n\r\nhere$/);
});
