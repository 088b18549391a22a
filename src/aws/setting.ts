import { RunError } from "../base/errors.ts";
import type { Environment } from "./proxy.ts";
import type { Section } from "./shared_config.ts";

/** Of a switch that is off unless it says `true`, in any case of letters. */
export function isTrue(value: string | undefined): boolean {
  return value?.trim().toLowerCase() === "true";
}

/**
 * A boolean of the environment, else of the profile, `false` when neither has it. The SDK takes what it
 * cannot read for `false`, and asks other hosts than were meant.
 * @throws {RunError} where it is no boolean.
 */
export function booleanSetting(
  env: Environment,
  variable: string,
  profile: Section,
  key: string,
): boolean {
  const [name, value] = env[variable]
    ? [variable, env[variable]]
    : [`the profile's ${key}`, profile[key]];
  switch (value?.trim().toLowerCase()) {
    case undefined:
    case "":
    case "false":
      return false;
    case "true":
      return true;
    default:
      throw new RunError(`${name} must be true or false, found ${JSON.stringify(value)}`);
  }
}

/** A region names hosts; anything else would make requests leave for elsewhere. */
export function isRegion(text: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(text);
}
