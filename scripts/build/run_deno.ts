/** Runs this Deno and gives what it prints. */
export async function runDeno(cwd: string, args: readonly string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`deno ${args.join(" ")} failed; its messages are above`);
  return new TextDecoder().decode(stdout);
}
