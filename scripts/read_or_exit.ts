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
