import manifest from "../../deno.json" with { type: "json" };
import { buildInfo } from "./build_info.ts";

export const VERSION: string = manifest.version;

/**
 * `pg2kinesis 1.0.0 (3d4e453a91c2, Deno 2.9.6, V8 15.0.245.2)`, for bug reports; `source` in the
 * place of a commit that is not known.
 */
export function versionLine(): string {
  const commit = buildInfo().commit ?? "source";
  const v8 = Deno.version.v8.replace(/-rusty$/, "");
  return `pg2kinesis ${VERSION} (${commit}, Deno ${Deno.version.deno}, V8 ${v8})`;
}
