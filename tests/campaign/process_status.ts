/** A size in `/proc/PID/status`, as `VmRSS` or `VmHWM`, in MiB; NaN when the process has just ended. */
export function readStatus(pid: number, field: string): number {
  let status: string;
  try {
    status = Deno.readTextFileSync(`/proc/${pid}/status`);
  } catch {
    return NaN;
  }
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
}
