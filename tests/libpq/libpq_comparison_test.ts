import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { resolveConnection } from "../../src/libpq/resolve_connection.ts";
import { thisMachine } from "../../src/libpq/machine.ts";
import { findLibpqs } from "../support/real_libpq.ts";
import type { Env } from "../support/command_line.ts";

const libpqs = await findLibpqs();
if (libpqs.length === 0) {
  console.log("skipped: comparison of services with libpq, as this machine has none");
}

Deno.test({
  name: "resolveConnection reads service files and variables as libpq itself does",
  ignore: libpqs.length === 0,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${folder}/home`);
      await Deno.mkdir(`${folder}/etc`);
      await Deno.writeTextFile(
        `${folder}/home/.pg_service.conf`,
        "# mine\n\n[other]\nhost=other\nservice=ignored here\n[s]\n  host=one,two\nport=7\t\n" +
          "#port=8\nport=9\ndbname=a = b\nuser= u\npassword=p=w\noptions=-c x=y\n[s]\nhost=three\n",
      );
      await Deno.writeTextFile(`${folder}/etc/pg_service.conf`, "[t]\r\nhost=four\r\nuser=z\r\n");
      await Deno.writeTextFile(`${folder}/file.conf`, "[u] the rest is ignored\nhost=five\nuser=");
      const base = { HOME: `${folder}/home`, PGSYSCONFDIR: `${folder}/etc` };
      const environments: Env[] = [
        { PGSERVICE: "s", PGHOST: "x", PGDATABASE: "x" },
        { PGSERVICE: "s", PGSERVICEFILE: `${folder}/home/.pg_service.conf` },
        { PGSERVICE: "t", PGDATABASE: "x", PGPORT: "5433" },
        { PGSERVICE: "u", PGSERVICEFILE: `${folder}/file.conf`, PGDATABASE: "x" },
        { PGSERVICE: "t", PGSERVICEFILE: `${folder}/file.conf`, PGDATABASE: "x" },
        { PGHOST: "h", PGPORT: "1", PGUSER: "u", PGDATABASE: "d", PGAPPNAME: "n" },
      ];
      for (const environment of environments) {
        const env: Env = { ...base, USER: "root", ...environment };
        const { postgres } = resolveConnection([], env, thisMachine);
        const output = await new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "-A",
            "--quiet",
            fileURLToPath(new URL("../support/real_libpq.ts", import.meta.url)),
          ],
          env: { ...cleanEnvironment(), ...env } as Record<string, string>,
          clearEnv: true,
        }).output();
        for (const theirs of JSON.parse(new TextDecoder().decode(output.stdout))) {
          assertEquals(
            {
              host: postgres.hosts.map(({ host }) => host).join(),
              port: [...new Set(postgres.hosts.map(({ port }) => port))].join(),
              dbname: postgres.database,
              user: postgres.user,
              password: postgres.password,
              options: postgres.sessionOptions ?? "",
              sslmode: postgres.sslMode,
            },
            {
              host: theirs.host,
              port: theirs.port,
              dbname: theirs.dbname,
              user: theirs.user || "root",
              password: theirs.password,
              options: theirs.options,
              sslmode: theirs.sslmode,
            },
            JSON.stringify(environment),
          );
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** What Deno needs to find its packages, and nothing of libpq's. */
function cleanEnvironment(): Env {
  return {
    DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
    DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "system,mozilla",
    PATH: Deno.env.get("PATH"),
    NO_COLOR: "1",
  };
}
