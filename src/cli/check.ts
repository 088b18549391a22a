import { RunError } from "../errors.ts";
import type { RunOptions } from "../options.ts";

export function check(_options: RunOptions, _json: boolean): Promise<boolean> {
  return Promise.reject(new RunError("pg2kinesis check is not there yet"));
}
