import { Console } from "node:console";
import process from "node:process";
import { Writable } from "node:stream";
import { formatWithOptions } from "node:util";
import { getLogger } from "@logtape/logtape";

const LEVELS = {
  debug: "debug",
  log: "info",
  info: "info",
  warn: "warn",
  error: "error",
} as const;

const logger = getLogger(["pg2kinesis", "console"]);

/**
 * Logs what libraries and formatters say to the console, and Node's warnings. The runtime would write
 * it past the log's form, waiting for its reader, and some of it to stdout. Gives what ends that.
 */
export function takeForeignOutput(): () => void {
  const before = { ...console };
  // `table`, `dir`, `trace`, `time` and the like.
  Object.assign(console, new Console({ stdout: toLog("info"), stderr: toLog("warn") }));
  for (const [method, level] of Object.entries(LEVELS)) {
    console[method as keyof typeof LEVELS] = (...said: unknown[]) =>
      logger[level]("{said}", { said: formatWithOptions({ colors: false }, ...said) });
  }
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  const onWarning = ({ name, message }: Error) =>
    logger.warn("{said}", { said: `${name}: ${message}` });
  process.on("warning", onWarning);
  return () => {
    Object.assign(console, before);
    process.off("warning", onWarning);
    for (const listener of listeners) process.on("warning", listener);
  };
}

function toLog(level: "info" | "warn"): Writable {
  return new Writable({
    decodeStrings: false,
    write(said: string, _encoding, done) {
      logger[level]("{said}", { said: said.replace(/\n$/, "") });
      done();
    },
  });
}
