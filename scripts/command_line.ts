/**
 * What `read` makes of a script's command line. What it throws is told in one line, with exit code 2.
 * `task` is how the script is started: `deno task bench`.
 */
export function readOrExit<T>(task: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    // Node's parseArgs goes on to explain how an argument may begin with a dash.
    const what = (error as Error).message.split(/\. |\n/, 1)[0]!;
    console.error(`${what}; see ${task} --help`);
    Deno.exit(2);
  }
}

/** @throws when `text`, the value of `--name`, is no whole number of at least `least`. */
export function readCount(name: string, text: string, least = 0): number {
  const count = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(count) || count < least) {
    throw new Error(`--${name} ${text} is no count`);
  }
  return count;
}

/** @throws when `text`, the value of `--name`, is none of `choices`. */
export function readChoice<T extends string>(
  name: string,
  text: string,
  choices: readonly T[],
): T {
  const choice = choices.find((choice) => choice === text);
  if (choice === undefined) {
    throw new Error(`--${name} ${text} is not one of ${choices.join(", ")}`);
  }
  return choice;
}
