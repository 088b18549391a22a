import { dirname } from "node:path";

const COLUMNS = [
  "date",
  "machine",
  "cpus",
  "program",
  "runtime",
  "postgres",
  "scenario",
  "contender",
  "run",
  "changes",
  "wall_s",
  "user_s",
  "system_s",
  "peak_mib",
  "puts",
  "put_bytes",
  "last_put_s",
  "sink_cpu_s",
  "walsender_cpu_s",
  "p50_ms",
  "p99_ms",
  "max_ms",
  "streaming_ms",
  "stop_ms",
  "cpu_share",
] as const;

export type RawRow = Partial<Readonly<Record<typeof COLUMNS[number], string | number>>>;

/** One line a run, each with where it was measured; appended as they come, so that none is lost. */
export class RawCsv {
  private constructor(private readonly path: string, private readonly circumstances: RawRow) {}

  static async open(path: string, postgresVersion: number): Promise<RawCsv> {
    await Deno.mkdir(dirname(path), { recursive: true });
    const exists = await Deno.stat(path).then(() => true, () => false);
    if (!exists) await Deno.writeTextFile(path, COLUMNS.join(",") + "\n");
    return new RawCsv(path, {
      date: new Date().toISOString(),
      machine: await cpuModel(),
      cpus: navigator.hardwareConcurrency,
      program: Deno.env.get("PG2KINESIS_BIN") ? "executable" : await commit(),
      runtime: `Deno ${Deno.version.deno}`,
      postgres: postgresVersion,
    });
  }

  async append(row: RawRow): Promise<void> {
    const all: RawRow = { ...this.circumstances, ...row };
    const cells = COLUMNS.map((column) => {
      const value = all[column] ?? "";
      if (typeof value === "number") return String(Math.round(value * 1e4) / 1e4);
      return /[",]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
    });
    await Deno.writeTextFile(this.path, cells.join(",") + "\n", { append: true });
  }
}

async function cpuModel(): Promise<string> {
  const info = await Deno.readTextFile("/proc/cpuinfo");
  return /^model name\s*:\s*(.+)$/m.exec(info)?.[1] ?? "unknown";
}

async function commit(): Promise<string> {
  const { success, stdout } = await new Deno.Command("git", {
    args: ["describe", "--always", "--dirty"],
    cwd: new URL("../..", import.meta.url),
    stderr: "null",
  }).output();
  return success ? new TextDecoder().decode(stdout).trim() : "unknown";
}
