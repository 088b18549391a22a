import { assertEquals } from "@std/assert";
import { RunObserver } from "../../src/telemetry/observer.ts";
import { serveTelemetry } from "../../src/telemetry/telemetry_server.ts";
import { waitFor } from "../support/wait.ts";

const HOST = { hostname: "127.0.0.1" };

const SAID = {
  "nothing, as a browser that may ask later": "",
  "half a request": "GET /metrics HTTP/1.1\r\nHost: here\r\n",
  "a request whose body does not come":
    "GET /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n",
};

for (const [said, bytes] of Object.entries(SAID)) {
  Deno.test(`the end of a run does not wait for a connection that says ${said}`, async () => {
    const observer = new RunObserver({
      host: "h",
      database: "d",
      slot: "s",
      plugin: "pgoutput",
      stream: "k",
    });
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
