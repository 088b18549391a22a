import { assert, assertEquals } from "@std/assert";
import { FaultServerProcess, STREAM } from "../campaign/fault_server_process.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { denoDir, programCommand } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { hasTmux, NO_TMUX, Terminal } from "../support/terminal.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, waitUntilConfirmed } from "../support/following_program.ts";

const ignore = !hasTmux();
if (ignore) console.log(NO_TMUX);

const STATUS = /^lag .* · .* changes\/s/;
/** A log line whose beginning is where a line begins. */
const LOGGED = /^\d{4}-\d\d-\d\dT[\d:.]+Z (INFO|WARNING) /;

Deno.test(
  "on a terminal a status line is redrawn in place, fits, leaves log lines whole and goes at the end",
  {
    ignore,
  },
  async () => {
    await using server = await startEmbeddedPostgres();
    await using db = await freshDatabase(server);
    await db.sql("create table t (id int primary key, filler text)");
    for (const n of [1, 2, 3]) await db.sql(`create table keyless${n} (n int)`);
    await db.createSlot("test_decoding");
    await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 2 });
    const { command, args } = programCommand(flagsFor(db, STREAM));
    await using terminal = await Terminal.start(command, args, {
      columns: 44,
      rows: 40,
      env: { ...kinesis.env, DENO_DIR: denoDir(), DENO_NO_UPDATE_CHECK: "1", HOME: "/nonexistent" },
    });
    const see = (what: string, isSeen: (lines: string[]) => boolean) =>
      waitFor(async () => {
        const lines = await terminal.lines();
        return isSeen(lines) && lines;
      }, { what, found: async () => (await terminal.lines()).join("\n") });

    const narrow = await see(
      "a status line below what is logged",
      (lines) => STATUS.test(lines.at(-1)!),
    );
    assert(narrow.at(-1)!.length <= 43 && !narrow.at(-1)!.includes("WAL kept"), narrow.at(-1));
    await terminal.resize(120, 40);
    await see("a longer one", (lines) => / (bytes|[KM]iB)\/s .* throttled/.test(lines.at(-1)!));
    // Of each table one warning, while the line is there.
    for (const n of [1, 2, 3]) {
      await db.sql(`insert into keyless${n} values (1)`);
      await db.sql("insert into t select $1::int * 1000 + n from generate_series(1, 500) n", [n]);
    }
    await waitUntilConfirmed(db);
    const warned = await see(
      "three warnings above the status line, and rates in it",
      (lines) =>
        lines.filter((line) => line.includes("leaving out the insert of public.keyless")).length ===
          3 &&
        / · [1-9][\d,]* changes\/s/.test(lines.at(-1)!),
    );
    assertEquals(
      warned.filter((line) => STATUS.test(line)).length,
      1,
      warned.join("\n"),
    );
    for (const line of warned.slice(0, -1)) {
      if (line.includes("leaving out")) assert(LOGGED.test(line), line);
    }

    await keepPicture(warned);
    await terminal.press("C-c");
    const ended = await see("the end", (lines) => lines.some((line) => line === "exit code 0"));
    assertEquals(ended.filter((line) => line.includes("changes/s")), [], ended.join("\n"));
    assert(ended.some((line) => line.includes("stopped")));
  },
);

Deno.test("on a terminal --log-format json and --log-level warning show no status line", {
  ignore,
}, async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await db.sql("create table keyless (n int)");
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 1 });
  for (const flags of [["--log-format", "json"], ["--log-level", "warning"]]) {
    const { command, args } = programCommand([...flagsFor(db, STREAM), ...flags]);
    await using terminal = await Terminal.start(command, args, {
      columns: 100,
      rows: 40,
      env: { ...kinesis.env, DENO_DIR: denoDir(), DENO_NO_UPDATE_CHECK: "1", HOME: "/nonexistent" },
    });
    const text = async () => (await terminal.lines()).join("\n");
    await db.sql("insert into keyless values (1)");
    await waitFor(async () => (await text()).includes("leaving out"), {
      what: `a warning with ${flags.join(" ")}`,
      found: text,
    });
    await terminal.press("C-c");
    await waitFor(async () => (await text()).includes("exit code 0"), {
      what: "the end",
      found: text,
    });
    assert(!(await text()).includes("changes/s"), await text());
  }
});

/** Where pictures of what was seen go, if anywhere: as text, which a browser shows. */
async function keepPicture(lines: readonly string[]): Promise<void> {
  const pictures = Deno.env.get("PG2KINESIS_SCREENSHOTS");
  if (pictures !== undefined) {
    await Deno.writeTextFile(`${pictures}/terminal.txt`, lines.join("\n"));
  }
}
