export interface OutputOptions {
  readonly cwd?: string;
  /** The command fails where it finds something, and prints what. */
  readonly mayFail?: boolean;
}

/** What a command prints, in English; throws with all its words where it fails. */
export async function output(
  command: string,
  args: readonly string[],
  { cwd, mayFail = false }: OutputOptions = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    stdin: "null",
    env: { LC_ALL: "C" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success && !mayFail) throw new Error(`${command} ${args.join(" ")}: ${out}${err}`);
  return out!;
}
