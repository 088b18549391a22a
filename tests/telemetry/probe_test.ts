import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { RunError } from "../../src/base/errors.ts";
import type { ListenAddress } from "../../src/options.ts";
import { RunObserver } from "../../src/telemetry/observer.ts";
import { probe } from "../../src/telemetry/probe.ts";
import { serveTelemetry } from "../../src/telemetry/telemetry_server.ts";
import { usageError } from "../support/command_line.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";

/** Answers every connection with the same bytes. */
function answering(text: string, hostname = "127.0.0.1"): AsyncDisposable & ListenAddress {
  const listener = Deno.listen({ hostname, port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(1024));
      await connection.writable.getWriter().write(new TextEncoder().encode(text));
      connection.close();
    }
  })();
  return {
    hostname: "0.0.0.0",
    port: listener.addr.port,
    [Symbol.asyncDispose]: () => {
      listener.close();
      return serving;
    },
  };
}

Deno.test("probe tells a run that is ready from one that is not, on whatever address it listens", async () => {
  await using ready = answering("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nready\n");
  assertEquals(await probe(ready, "/readyz"), { isWell: true, words: "ready" });
  await using behind = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready: behind\n");
  assertEquals(await probe(behind, "/readyz"), { isWell: false, words: "not ready: behind" });
});

Deno.test("probe says what it asked, and what it found where no run answers", async () => {
  await using other = answering("HTTP/1.1 404 Not Found\r\n\r\n");
  const { message } = await assertRejects(() => probe(other, "/healthz"), RunError);
  assertMatch(message, /^GET http:\/\/127\.0\.0\.1:\d+\/healthz was answered by something .* 404;/);
  await using odd = answering("SSH-2.0-OpenSSH_9.2\r\n");
  await assertRejects(() => probe(odd, "/healthz"), RunError, "that is no run of pg2kinesis;");

  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const refused = probe({ hostname: "127.0.0.1", port }, "/healthz");
  await assertRejects(() => refused, RunError, "nothing listens there");
});

Deno.test("health asks the run at --metrics-addr, and gives 0 or 1; a proxy is not asked", async () => {
  await using ready = answering("HTTP/1.1 200 OK\r\n\r\nready\n");
  await using behind = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready: behind\n");
  const env = { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" };
  const outcomes = [];
  for (const { port } of [ready, behind]) {
    const { code, stdout } = await Pg2kinesis.run(
      ["health", "--metrics-addr", `0.0.0.0:${port}`, "--ready"],
      { env },
    );
    outcomes.push([code, stdout]);
  }
  assertEquals(outcomes, [[0, "ready\n"], [1, "not ready: behind\n"]]);
});

Deno.test("health says what it needs", () => {
  assertMatch(usageError(["health"]), /needs --metrics-addr HOST:PORT, as the run has it/);
  assertMatch(usageError(["health", "--metrics-addr", ":0"]), /^--metrics-addr: with port 0/);
  assertMatch(usageError(["health", "-d", "x"]), /--pg-dbname is no flag of pg2kinesis health/);
});

Deno.test("probe understands a run's own server", async () => {
  const observer = new RunObserver({
    host: "h",
    database: "d",
    slot: "s",
    plugin: "pgoutput",
    stream: "k",
  });
  const here = { hostname: "127.0.0.1", port: 0 };
  await using server = serveTelemetry(here, { readyLag: undefined }, observer);
  const address = { ...here, port: server.port };
  assertEquals(await probe(address, "/healthz"), { isWell: true, words: "ok" });
  const { isWell, words } = await probe(address, "/readyz");
  assertEquals(isWell, false);
  assertMatch(words, /^not ready: /);
});
