/** A setting among the command-line options of a session, as in `PGOPTIONS`. */
export function startupOption(name: string, value: string): string {
  return `-c ${name}=${value.replace(/[\s\\]/g, "\\$&")}`;
}
