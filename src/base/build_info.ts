/** Which source this program is made of. */
export interface BuildInfo {
  /** Such as `93b7b52e302f`, with `-dirty` when it was changed since; undefined: not known. */
  readonly commit: string | undefined;
  /** The commit's day, such as `2026-11-22`. */
  readonly date: string | undefined;
}

const UNKNOWN: BuildInfo = { commit: undefined, date: undefined };

/** What the build wrote into the executable; of a checkout, what git says. */
export function buildInfo(): BuildInfo {
  return Deno.build.standalone ? builtIn() : checkedOut();
}

/** The file that `scripts/build.ts` includes. */
function builtIn(): BuildInfo {
  try {
    return JSON.parse(
      Deno.readTextFileSync(new URL("../../dist/build_info.json", import.meta.url)),
    );
  } catch (error) {
    // Somebody's own `deno compile`.
    if (error instanceof Deno.errors.NotFound) return UNKNOWN;
    throw error;
  }
}

function checkedOut(): BuildInfo {
  // Asking for the right to run git would interrupt whoever gave the program fewer rights.
  if (Deno.permissions.querySync({ name: "run", command: "git" }).state !== "granted") {
    return UNKNOWN;
  }
  const commit = git("describe", "--always", "--abbrev=12", "--dirty", "--exclude=*");
  return commit === undefined ? UNKNOWN : { commit, date: git("log", "-1", "--format=%cs") };
}

/** What git answers; undefined without git, and where the source lies in no repository of its own. */
function git(...args: string[]): string | undefined {
  try {
    const { success, stdout } = new Deno.Command("git", {
      // Named, or git would take a repository that the source happens to lie in.
      args: ["--git-dir=.git", ...args],
      cwd: new URL("../..", import.meta.url),
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
