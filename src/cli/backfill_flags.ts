import { listFlag, switchFlag } from "./flag.ts";
import { tableGlob } from "./change_flags.ts";

export const backfillFlags = {
  table: {
    ...listFlag({
      name: "table",
      category: "backfill",
      commands: ["backfill"],
      placeholder: "GLOB",
      short: "these, such as public.order_*",
      long:
        "Ask for the rows of the tables whose `schema.table`, or that of a partitioned table above it, " +
        "matches this pattern; `*` stands for any characters, `?` for one. May be given several times. " +
        "The filters of the run still apply. With `--stop`: the tables whose backfill ends.",
      parse: tableGlob,
    }),
    inEnvironment: false,
  },
  wait: switchFlag({
    name: "wait",
    category: "backfill",
    commands: ["backfill"],
    inEnvironment: false,
    short: "wait until every row is stored",
    long:
      "With `--table`: say how the backfill goes, and return when it has ended: with exit code 0 when " +
      "every row is stored, with 1 when a table was refused or given up.",
  }),
  status: switchFlag({
    name: "status",
    category: "backfill",
    commands: ["backfill"],
    inEnvironment: false,
    short: "print how backfills go, from any host",
    long: "Print how the backfills of the slot go, as any host can see it in `pg_stat_activity`.",
  }),
  stop: switchFlag({
    name: "stop",
    category: "backfill",
    commands: ["backfill"],
    inEnvironment: false,
    short: "end all of them, or those of --table",
    long:
      "End what was asked for and has not ended, of the tables of `--table` or of all. What is stored " +
      "stays in the stream.",
  }),
};
