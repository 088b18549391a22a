/** Whether a formatter's module can be so named. Deno reads TypeScript too, the executable does not. */
export function isModulePath(path: string): boolean {
  return /\.m?js$/.test(path) || /\.m?ts$/.test(path) && !Deno.build.standalone;
}
