import { getLogger } from "@logtape/logtape";
import type { Catalog } from "../postgres/catalog/known_table.ts";

const logger = getLogger(["pg2kinesis", "catalog"]);

/** Reads the catalog again every `intervalMs` (0: never) and on SIGHUP. A failure is only logged. */
export function keepFresh(
  catalog: Catalog,
  intervalMs: number,
  stop?: AbortSignal,
): Disposable {
  const refresh = () => {
    catalog.refresh().then(
      () => logger.info("read the tables and their keys again"),
      (error) => {
        // What a stop interrupts is no failure.
        if (stop?.aborted) return;
        logger.warn("{message}; continuing with the keys known so far", { message: error.message });
      },
    );
  };
  const timer = intervalMs > 0 ? setInterval(refresh, intervalMs) : undefined;
  const hasSignal = Deno.build.os !== "windows";
  if (hasSignal) Deno.addSignalListener("SIGHUP", refresh);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      if (hasSignal) Deno.removeSignalListener("SIGHUP", refresh);
    },
  };
}

/**
 * Keeps SIGHUP, which asks for the tables' keys, from ending a run that does not follow its slot: systemd
 * takes that for a clean end, and would not start it again. Such a run reads them when it begins to.
 */
export function outliveHangUp(isWaiting: () => boolean): Disposable {
  if (Deno.build.os === "windows") return { [Symbol.dispose]: () => {} };
  const listener = () => {
    if (isWaiting()) logger.info("the tables and their keys will be read when the slot is free");
  };
  Deno.addSignalListener("SIGHUP", listener);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGHUP", listener) };
}
