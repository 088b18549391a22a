import { ask } from "../backfill/ask/ask.ts";
import type { AskOptions } from "../backfill/ask/ask_options.ts";
import { writeOut } from "./stdout.ts";
import { onStopSignal } from "../run/stop_signal.ts";

/** Asks the run that follows a slot; gives whether every row that was waited for is stored. */
export async function backfill(options: AskOptions): Promise<boolean> {
  using stop = onStopSignal();
  return await ask(options, (text) => writeOut(text, stop.signal), stop.signal);
}
