import { PLUGINS } from "../decode/plugins.ts";
import type { OutputPlugin } from "../options.ts";
import { PostgresError } from "../postgres/connection/postgres_error.ts";
import { pluginProblem } from "../postgres/slot/slot_problem.ts";
import type { Remedy } from "../base/problem.ts";
import type { ServerContext } from "./server_context.ts";
import { isTrue } from "../postgres/connection/text_row.ts";

/** Whether the plugin may be used, and whether it is there at all. */
export async function checkPlugin(context: ServerContext): Promise<void> {
  const { facts, findings, options: { slot } } = context;
  const { plugin } = slot;
  const refused = pluginProblem(facts, slot);
  if (refused !== undefined) findings.stop("plugin", refused.found, refused.remedy);

  const known = await isInstalled(context);
  const install = installation(plugin, facts.version);
  if (known === undefined) {
    const own = install.kind === "command" ? install.command : install.text;
    findings.warn(
      "plugin",
      `whether ${plugin} is installed on the server is not visible to this role; creating the slot will show it`,
      {
        kind: "advice",
        text:
          `managed servers mostly have it (RDS, Cloud SQL, Azure); on a server of yours: ${own}`,
      },
    );
  } else if (!known) {
    findings.stop("plugin", `the plugin ${plugin} is not installed on the server`, install);
  } else if (refused === undefined) {
    findings.ok("plugin", `${plugin} is installed and allowed`);
  }
}

/** Undefined: it cannot be seen without making a slot. */
async function isInstalled(
  { connection, facts, options: { slot } }: ServerContext,
): Promise<boolean | undefined> {
  const { plugin } = slot;
  // Part of the server; on RDS all three are.
  if (PLUGINS[plugin].isBuiltIn || facts.isRds) return true;
  // Whoever made a slot with it had it.
  const [slots] = await connection.query(
    "look for slots with the plugin",
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots 
                     WHERE plugin OPERATOR(pg_catalog.=) $1)::pg_catalog.text AS found`,
    [plugin],
  );
  if (isTrue(slots?.found)) return true;
  try {
    const [row] = await connection.query(
      "look for the plugin's library",
      `SELECT EXISTS (SELECT FROM pg_catalog.pg_config() c, pg_catalog.pg_ls_dir(c.setting) f
                       WHERE c.name OPERATOR(pg_catalog.=) 'PKGLIBDIR' AND f OPERATOR(pg_catalog.=) ANY ($1))
                ::pg_catalog.text AS found,
              (pg_catalog.current_setting('dynamic_library_path') OPERATOR(pg_catalog.<>) '$libdir')
                ::pg_catalog.text AS elsewhere`,
      [["so", "dylib", "dll"].map((ending) => `${plugin}.${ending}`)],
    );
    if (isTrue(row?.found)) return true;
    return isTrue(row?.elsewhere) ? undefined : false;
  } catch (error) {
    // Superusers and members of pg_read_server_files may look.
    if (error instanceof PostgresError && error.code === "42501") return undefined;
    throw error;
  }
}

/** For who runs the server. */
function installation(
  plugin: OutputPlugin,
  version: number,
): Extract<Remedy, { kind: "command" | "advice" }> {
  const { install, installCommand } = PLUGINS[plugin];
  const command = installCommand(Math.floor(version / 10_000));
  return command === undefined ? { kind: "advice", text: install } : { kind: "command", command };
}
