import { getLogger } from "@logtape/logtape";
import { UsageError } from "../base/errors.ts";
import { type ConfigFile, readConfigFile } from "./config_file.ts";
import { flags } from "./flags.ts";
import { type Machine, thisMachine } from "../libpq/machine.ts";

const logger = getLogger(["pg2kinesis", "cli"]);

/**
 * On SIGHUP, says whether the configuration file is no longer what the run began with. Nothing of it
 * counts before a restart: a route that changed inside a run would part the changes of one row.
 */
export function watchConfig(
  config: ConfigFile | undefined,
  host: Machine = thisMachine,
): Disposable {
  if (config === undefined || Deno.build.os === "windows") return { [Symbol.dispose]: () => {} };
  const look = () => sayWhatChanged(config, host);
  Deno.addSignalListener("SIGHUP", look);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGHUP", look) };
}

function sayWhatChanged(config: ConfigFile, host: Machine): void {
  const { path } = config;
  // A pipe was read once and for all.
  if (!host.isFile(path)) {
    return logger.warn("the configuration file {path} is gone; the run keeps its settings", {
      path,
    });
  }
  try {
    const keys = changedKeys(config, readConfigFile(path, host));
    if (keys.length === 0) return;
    logger.warn("the configuration file {path} was changed ({keys}); restart to apply it", {
      path,
      keys: keys.join(", "),
    });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    logger.warn(
      "the configuration file {path} was changed, and a restart would fail: {reason}; the run keeps " +
        "its settings",
      { path, reason: error.message },
    );
  }
}

/** The keys that do not say the same in both. */
export function changedKeys(before: ConfigFile, after: ConfigFile): readonly string[] {
  const ids = new Set([...before.texts.keys(), ...after.texts.keys()]);
  return [...ids].filter((id) =>
    JSON.stringify(before.texts.get(id)) !== JSON.stringify(after.texts.get(id))
  ).map((id) => flags[id].name);
}
