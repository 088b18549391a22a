import type { Plan } from "./plan.ts";

/** For a person: the statements as SQL, then the commands for a shell. */
export function renderPlan({ database, statements, commands, remarks }: Plan): string {
  return [
    `-- ${commands.length} parts. Run this in the database ${database}, once, as a role that owns the tables:`,
    ...statements,
    "",
    ...remarks.map((remark) => `-- ${remark}.`),
    "",
    "# Then start these runs, on one host or on several:",
    ...commands.map((command) => command.map(shellWord).join(" ")),
    "",
  ].join("\n");
}

export function renderPlanJson(plan: Plan): string {
  return JSON.stringify(plan, null, 2) + "\n";
}

/** A word as POSIX shells take it. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
