import manifest from "../../deno.json" with { type: "json" };

export const VERSION: string = manifest.version;

/** `pg2kinesis 1.0.0 (3d4e453, Deno 2.9.6, V8 15.0.245.2)`, for bug reports. */
export function versionLine(): string {
  const runtime = `Deno ${Deno.version.deno}, V8 ${Deno.version.v8.replace(/-rusty$/, "")}`;
  const commit = builtFrom();
  return `pg2kinesis ${VERSION} (${commit === undefined ? "" : `${commit}, `}${runtime})`;
}

/** The commit that the build wrote beside the program, when it was built. */
function builtFrom(): string | undefined {
  try {
    const text = Deno.readTextFileSync(new URL("../../dist/build_info.json", import.meta.url));
    const { commit } = JSON.parse(text);
    return typeof commit === "string" ? commit.slice(0, 12) : undefined;
  } catch {
    return undefined;
  }
}
