import { getLogger } from "@logtape/logtape";
import type { RecordWriter } from "../base/record_writer.ts";
import { aborted } from "../base/until_aborted.ts";

/** When reading has ended, what was read has this long to be stored. What is not comes again. */
const DRAIN_MS = 5_000;

const logger = getLogger(["pg2kinesis", "run"]);

/** Stores what was read, as far as that is possible soon. */
export async function drain(pipeline: Promise<void>, writer: RecordWriter): Promise<void> {
  const deadline = AbortSignal.timeout(DRAIN_MS);
  // The pipeline may be waiting for room in the writer; its own failure was seen by the caller.
  await Promise.race([pipeline.catch(() => {}), writer.failure, aborted(deadline)]);
  try {
    await writer.drain(deadline);
  } catch {
    if (!deadline.aborted) return;
    logger.warn(
      "{bytes} bytes were not stored within {seconds} s; they are not confirmed and will be sent again",
      { bytes: writer.pendingBytes, seconds: DRAIN_MS / 1000 },
    );
  }
}
