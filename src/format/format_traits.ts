import type { FormatOptions } from "../options.ts";

/** What others than the formatter itself have to know of a format. */
export interface FormatTraits {
  /** The primary key alone, so nothing of a table without one; or whole rows. */
  readonly publishes: "key" | "rows";
  /** Whether `--full-change` makes it publish rows; otherwise why the flag does not go with it. */
  readonly fullChange: "taken" | "which has no place for columns" | "which gets all columns anyway";
  /** It has a place for logical messages. */
  readonly hasMessages: boolean;
  /** It does not publish a delete that does not say which row was deleted. */
  readonly refusesUnnamedDeletes: boolean;
}

/** The built-in formats. `formats.ts` makes them: the compiler asks for each that stands here. */
export const FORMATS = {
  CSV: {
    publishes: "key",
    fullChange: "which has no place for columns",
    hasMessages: false,
    refusesUnnamedDeletes: false,
  },
  CSVPayload: {
    publishes: "key",
    fullChange: "taken",
    hasMessages: false,
    refusesUnnamedDeletes: false,
  },
  JSON: {
    publishes: "rows",
    fullChange: "which gets all columns anyway",
    hasMessages: true,
    refusesUnnamedDeletes: true,
  },
  debezium: {
    publishes: "rows",
    fullChange: "which gets all columns anyway",
    hasMessages: true,
    refusesUnnamedDeletes: true,
  },
  dms: {
    publishes: "rows",
    fullChange: "which gets all columns anyway",
    hasMessages: false,
    refusesUnnamedDeletes: true,
  },
} as const satisfies Readonly<Record<string, FormatTraits>>;

export type FormatName = keyof typeof FORMATS;

export const FORMAT_NAMES = Object.keys(FORMATS) as FormatName[];

const USER_MODULE: FormatTraits = {
  publishes: "rows",
  fullChange: "which gets all columns anyway",
  hasMessages: true,
  refusesUnnamedDeletes: false,
};

type Chosen = Pick<FormatOptions, "formatter">;

/** The built-in format that was chosen; undefined for a module of the user's. */
export function formatName({ formatter }: Chosen): FormatName | undefined {
  return FORMAT_NAMES.find((name) => name === formatter);
}

export function formatTraits(options: Chosen): FormatTraits {
  const name = formatName(options);
  return name === undefined ? USER_MODULE : FORMATS[name];
}

/** Whether nothing of a row but its primary key is published. */
export function publishesKeysOnly(options: Chosen & Pick<FormatOptions, "fullChange">): boolean {
  const { publishes, fullChange } = formatTraits(options);
  return publishes === "key" && !(options.fullChange && fullChange === "taken");
}
