import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OutputPlugin } from "../../../src/options.ts";
import { Pg2kinesis } from "../../../tests/support/pg2kinesis.ts";
import { programArgs } from "../drain.ts";
import type { Installed } from "./installed.ts";
import { type Peer, spawnPeer } from "./peer.ts";

const PROPERTIES = fileURLToPath(new URL("./debezium-server.properties", import.meta.url));
const SITE = fileURLToPath(new URL("./python", import.meta.url));

/** This program with those arguments. */
function ours(name: string, plugin: OutputPlugin, args: readonly string[]): Peer {
  return {
    name,
    plugin,
    async start({ server, slot, sink }) {
      const program = await Pg2kinesis.start(
        programArgs(server, slot, plugin, { tls: false, args }),
        { env: sink.env },
      );
      return {
        pid: program.pid,
        ended: () => program.exitCode === undefined ? undefined : program.stderr,
        [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
      };
    },
  };
}

/** handshake/pg2kinesis 0.7.0 as it is on PyPI: see requirements.txt. It has no setting for speed. */
function original(
  name: string,
  plugin: OutputPlugin,
  args: readonly string[],
  { python, directory }: Installed["original"],
): Peer {
  return {
    name,
    plugin,
    start: ({ server, slot, sink }) => {
      const { host, port, superuser } = server.postgres;
      // deno-fmt-ignore
      return spawnPeer(python, [
        "-m", "pg2kinesis",
        "-h", host, "-p", String(port), "-u", superuser, "-d", "postgres", "--pg-sslmode", "disable",
        "-s", slot, "--pg-slot-output-plugin", plugin, "-k", "bench", ...args,
      ], {
        env: {
          ...sink.env,
          PYTHONPATH: `${directory}:${SITE}`,
          AWS_DEFAULT_REGION: sink.env.AWS_REGION!,
          LC_ALL: "C.UTF-8",
        },
      });
    },
  };
}

/** Debezium Server with the settings of `debezium-server.properties`. */
function debeziumServer(name: string, { java, directory }: Installed["debezium"]): Peer {
  return {
    name,
    plugin: "pgoutput",
    async start({ server, slot, sink }) {
      const { host, port, superuser } = server.postgres;
      const config = await Deno.makeTempDir({ prefix: "pg2k_debezium_" });
      const settings: Record<string, string> = {
        BENCH_ENDPOINT: sink.url,
        BENCH_HOST: host,
        BENCH_PORT: String(port),
        BENCH_USER: superuser,
        BENCH_SLOT: slot,
      };
      const text = await Deno.readTextFile(PROPERTIES);
      await Deno.writeTextFile(
        join(config, "application.properties"),
        text.replace(/\$\{(BENCH_\w+)\}/g, (_, key) => settings[key]!),
      );
      const running = await spawnPeer(java, [
        `-Dquarkus.config.locations=${join(config, "application.properties")}`,
        "-cp",
        `${join(directory, "*")}:${join(directory, "config/lib")}:${join(directory, "lib/*")}`,
        "io.debezium.server.Main",
      ], { cwd: directory, env: sink.env });
      return {
        ...running,
        async [Symbol.asyncDispose]() {
          await running[Symbol.asyncDispose]();
          await Deno.remove(config, { recursive: true });
        },
      };
    },
  };
}

/** Those that can be run here, in the order of the table. */
export function peers({ original: python, debezium }: Partial<Installed>): Peer[] {
  const key = ["-f", "CSVPayload"], full = ["-f", "CSVPayload", "--full-change"];
  const plain = ["--aggregation", "none"];
  return [
    ours("pg2kinesis, test_decoding, key", "test_decoding", key),
    ...python === undefined
      ? []
      : [original("the original, test_decoding, key", "test_decoding", key, python)],
    ours("pg2kinesis, wal2json, full change", "wal2json", full),
    ...python === undefined
      ? []
      : [original("the original, wal2json, full change", "wal2json", full, python)],
    ours("pg2kinesis, pgoutput, JSON", "pgoutput", ["-f", "JSON"]),
    ours("pg2kinesis, pgoutput, debezium", "pgoutput", ["-f", "debezium"]),
    ours("the same, --aggregation none", "pgoutput", ["-f", "debezium", ...plain]),
    ...debezium === undefined ? [] : [debeziumServer("Debezium Server, pgoutput", debezium)],
  ];
}
