import { didYouMean, nearest } from "../../base/did_you_mean.ts";
import { UsageError } from "../../base/errors.ts";
import type { DmsSettings } from "../../options.ts";

export const DEFAULT_DMS: DmsSettings = {
  IncludeNullAndEmpty: false,
  IncludeTransactionDetails: false,
  IncludePartitionValue: false,
  IncludeTableAlterOperations: true,
  IncludeControlDetails: true,
  NoHexPrefix: false,
  BeforeImage: "none",
};

const NAMES = Object.keys(DEFAULT_DMS);
const BEFORE_IMAGES: readonly string[] = ["pk-only", "non-lob", "all"];

/**
 * Reads `IncludeNullAndEmpty,IncludeControlDetails=false,BeforeImage=pk-only` over the settings given before.
 * @throws {UsageError} naming the setting, and the nearest right one.
 */
export function parseDms(text: string, before: DmsSettings = DEFAULT_DMS): DmsSettings {
  const settings: Record<string, boolean | string> = { ...before };
  for (const part of text.split(",").map((part) => part.trim())) {
    const [, name = "", value] = /^([^=]*)(?:=(.*))?$/s.exec(part)!;
    if (!NAMES.includes(name)) {
      throw new UsageError(
        `${JSON.stringify(name)} is not one of ${NAMES.join(", ")}` +
          didYouMean(nearest(name, NAMES)),
      );
    }
    settings[name] = name === "BeforeImage" ? beforeImage(value) : isOn(name, value);
  }
  return settings as unknown as DmsSettings;
}

function beforeImage(value: string | undefined): string {
  if (value !== undefined && BEFORE_IMAGES.includes(value)) return value;
  throw new UsageError(
    `BeforeImage needs one of ${BEFORE_IMAGES.join(", ")} behind it, such as BeforeImage=pk-only`,
  );
}

function isOn(name: string, value = "true"): boolean {
  const word = value.toLowerCase();
  if (word === "true" || word === "false") return word === "true";
  throw new UsageError(`${name} is true or false, found ${JSON.stringify(value)}`);
}
