/** What a process has used since it began. */
export interface ProcessUsage {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** The most resident memory it has had (VmHWM). */
  readonly peakMebibytes: number;
}

/** `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;
/** Fields 14 and 15 of `/proc/PID/stat`, counted from the one after the command (proc(5)). */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** Reads it from `/proc` while the process still runs. All its threads are counted. */
export function processUsage(pid: number): ProcessUsage {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return {
    userSeconds: Number(fields[USER_TICKS]) / TICKS_PER_SECOND,
    systemSeconds: Number(fields[SYSTEM_TICKS]) / TICKS_PER_SECOND,
    peakMebibytes: Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024,
  };
}
