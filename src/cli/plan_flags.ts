import { choice, integer } from "../base/value_parsers.ts";
import { SPLITS } from "../plan/plan_options.ts";
import { defaultedFlag, optionalFlag, switchFlag } from "./flag.ts";

/** So many slots and walsenders are more than any server should have. */
const MAX_PARTS = 64;

export const planFlags = {
  parts: {
    ...optionalFlag({
      name: "parts",
      category: "plan",
      commands: ["plan"],
      placeholder: "N",
      short: "how many runs share the work",
      long:
        `The number of parts, 2 to ${MAX_PARTS}. Each has a publication, a slot and a run of its own, ` +
        "named like `--pg-slot-name` and its number: `shop_0`, `shop_1`.",
      parse: integer({ min: 2, max: MAX_PARTS }),
    }),
    inEnvironment: false,
  },
  split: {
    ...defaultedFlag({
      name: "split",
      category: "plan",
      commands: ["plan"],
      placeholder: "WHAT",
      defaultText: "rows",
      short: "rows (default) or tables",
      long:
        "`rows`: each table is spread over all parts, by a hash of its primary key (PostgreSQL 15 and " +
        "newer); a table that cannot be spread goes to one part. `tables`: each table goes to one part.",
      parse: choice(SPLITS),
    }),
    inEnvironment: false,
  },
  ownStreams: switchFlag({
    name: "own-streams",
    category: "plan",
    commands: ["plan"],
    inEnvironment: false,
    short: "a stream for each part",
    long:
      "Give each part a stream of its own, named like `--stream-name` and the part's number, instead of " +
      "one stream for all.",
  }),
};
