import { join } from "node:path";
import { waitFor } from "./wait.ts";

export const NO_TINYPROXY = "skipped: needs the program tinyproxy (apt-get install tinyproxy-bin)";

export interface Tinyproxy extends AsyncDisposable {
  /** `127.0.0.1:3128` */
  readonly address: string;
  /** The requests that it took: `CONNECT localhost:443`. */
  requests(): Promise<string[]>;
}

export function hasTinyproxy(): boolean {
  try {
    return new Deno.Command("tinyproxy", { args: ["-v"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** A proxy on a free port; `login` is the user and password that it asks for. */
export async function startTinyproxy(
  login?: { readonly user: string; readonly password: string },
): Promise<Tinyproxy> {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  const dir = await Deno.makeTempDir({ prefix: "pg2k_proxy_" });
  const config = [
    `Port ${port}`,
    "Listen 127.0.0.1",
    "Timeout 600",
    "LogLevel Connect",
    ...login === undefined ? [] : [`BasicAuth ${login.user} ${login.password}`],
  ];
  await Deno.writeTextFile(join(dir, "tinyproxy.conf"), config.join("\n") + "\n");
  const process = new Deno.Command("tinyproxy", {
    args: ["-d", "-c", join(dir, "tinyproxy.conf")],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let log = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of process.stdout) log += decoder.decode(bytes, { stream: true });
  })();
  await waitFor(async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch {
      return false;
    }
  }, { what: "tinyproxy to listen", found: () => log });
  return {
    address: `127.0.0.1:${port}`,
    requests: () =>
      Promise.resolve([...log.matchAll(/: (\w+ \S+) HTTP/g)].map(([, line]) => line!)),
    [Symbol.asyncDispose]: async () => {
      process.kill();
      await process.status;
      await reading;
      await Deno.remove(dir, { recursive: true });
    },
  };
}
