import { getLogger } from "@logtape/logtape";
import { lastWords } from "../telemetry/stderr.ts";
import { EXIT } from "../base/exit_code.ts";

const logger = getLogger(["pg2kinesis", "run"]);

/** Windows knows only the first of them. */
const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process at once. */
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
      controller.abort(new Error(`stopped by ${name}`));
    };
    Deno.addSignalListener(name, handler);
    return () => Deno.removeSignalListener(name, handler);
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => handlers.forEach((remove) => remove()),
  };
}
