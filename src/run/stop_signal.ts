import { getLogger } from "@logtape/logtape";
import { lastWords } from "../telemetry/stderr.ts";
import { RunError } from "../base/errors.ts";
import { EXIT } from "../base/exit_code.ts";

const logger = getLogger(["pg2kinesis", "run"]);

/** Windows knows only the first of them. */
const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/**
 * Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. The reason is what a command
 * ends with that does not stop well in the middle of its work.
 */
export function onStopSignal(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const handlers = STOP_SIGNALS.map((name) => {
    const handler = () => {
      if (controller.signal.aborted) {
        logger.warn("{signal} again: exiting at once; what was not confirmed will be sent again", {
          signal: name,
        });
        void lastWords().finally(() => Deno.exit(EXIT.runFailed));
        return;
      }
      logger.info("{signal}: stopping; a second signal exits at once", { signal: name });
      controller.abort(new RunError(`stopped by ${name} before it was done`));
    };
    Deno.addSignalListener(name, handler);
    return () => Deno.removeSignalListener(name, handler);
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => handlers.forEach((remove) => remove()),
  };
}
