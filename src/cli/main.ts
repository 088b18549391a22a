import process from "node:process";
import { trustSystemAuthorities } from "../aws/authorities.ts";
import type { PostgresOptions, RunOptions } from "../options.ts";
import { RunError, UsageError } from "../base/errors.ts";
import { printable } from "../base/printable.ts";
import { redact, registerPublicName, registerSecret } from "../base/redaction.ts";
import { lastWords, writeLine } from "../telemetry/stderr.ts";
import { takeApart } from "./arguments.ts";
import { EXIT } from "../base/exit_code.ts";
import { MASK_SALT_VARIABLE } from "./flags.ts";
import { writeOut } from "./stdout.ts";
import { type Command, parseCommandLine } from "./parse.ts";

const SECRET_VARIABLES = [
  "PGPASSWORD",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  MASK_SALT_VARIABLE,
];

type Environment = Readonly<Record<string, string | undefined>>;

/** The main job; it ends when it is done, or throws why it cannot go on. */
export type Run = (options: RunOptions) => Promise<void>;

/**
 * The program: takes its arguments and environment, gives its exit code. What only some
 * commands need is loaded when it is known to be wanted.
 */
export async function main(
  args: readonly string[],
  env: Environment,
  loadRun: () => Promise<{ readonly run: Run }> = () => import("../run/run.ts"),
): Promise<number> {
  for (const name of SECRET_VARIABLES) registerSecret(env[name]);
  // Deno 2.4 remarks on a module of its own whenever a host's name is looked up.
  process.noDeprecation = true;
  trustSystemAuthorities();
  try {
    return await obey(parseCommandLine(args, env), loadRun);
  } catch (error) {
    return await failed(error, args);
  } finally {
    await lastWords();
  }
}

async function obey(
  command: Command,
  loadRun: () => Promise<{ readonly run: Run }>,
): Promise<number> {
  switch (command.kind) {
    case "help":
      await writeOut((await import("./help.ts")).renderHelp(command.command));
      return EXIT.ok;
    case "completions":
      await writeOut((await import("./completions.ts")).renderCompletions(command.shell));
      return EXIT.ok;
    case "man":
      await writeOut((await import("./man_page.ts")).renderManPage());
      return EXIT.ok;
    case "schema":
      await writeOut((await import("../format/json_schema.ts")).renderJsonSchema());
      return EXIT.ok;
    case "version":
      await writeOut((await import("../base/version.ts")).versionLine() + "\n");
      return EXIT.ok;
    case "run":
      registerRunNames(command.options);
      return await perform(command, async () => {
        using _config = (await import("./config_watch.ts")).watchConfig(command.config);
        await (await loadRun()).run(command.options);
        return EXIT.ok;
      });
    case "check":
      registerRunNames(command.options);
      return await perform(command, async () => {
        const { check } = await import("./check_command.ts");
        return await check(command.options, command.json, command.config)
          ? EXIT.ok
          : EXIT.runFailed;
      });
    case "backfill":
      registerNames(command.options.postgres, [
        command.options.slot,
        ...command.options.publications,
      ]);
      return await perform(command, async () => {
        const { backfill } = await import("./backfill_command.ts");
        return await backfill(command.options) ? EXIT.ok : EXIT.runFailed;
      });
    case "plan":
      registerRunNames(command.options.run);
      return await perform(command, async () => {
        await (await import("./plan_command.ts")).plan(command.options);
        return EXIT.ok;
      });
    case "tail":
      return await perform(command, async () => {
        await (await import("./tail_command.ts")).tail(command.options);
        return EXIT.ok;
      });
    case "health":
      return await perform(command, async () => {
        const { health } = await import("./health_command.ts");
        return await health(command.options) ? EXIT.ok : EXIT.runFailed;
      });
    default:
      return command satisfies never;
  }
}

/** What of a run's options is secret, and what is not and may be the same text. */
function registerRunNames({ postgres, slot, stream }: RunOptions): void {
  registerNames(postgres, [slot.name, stream.name, ...slot.publications]);
}

function registerNames(postgres: PostgresOptions, others: readonly string[]): void {
  registerSecret(postgres.password);
  const { user, database, applicationName, hosts } = postgres;
  const names = [user, database, applicationName, ...hosts.map(({ host }) => host), ...others];
  for (const name of names) registerPublicName(name);
}

/** Does a command's work, with the log set up and every error seen. Gives the exit code. */
async function perform(
  { options, warnings }: Extract<Command, { readonly warnings: readonly string[] }>,
  work: () => Promise<number>,
): Promise<number> {
  const stray = strayErrors();
  try {
    const { configureLog } = await import("../telemetry/log.ts");
    using _log = configureLog(options.log);
    const { getLogger } = await import("@logtape/logtape");
    for (const warning of warnings) {
      getLogger(["pg2kinesis", "cli"]).warn(verbatim(warning));
    }
    return await Promise.race([work(), stray.first]);
  } finally {
    stray.stop();
  }
}

/** Says in one line why the program ends, and gives its exit code. */
async function failed(error: unknown, args: readonly string[]): Promise<number> {
  const { getConfig, getLogger } = await import("@logtape/logtape");
  const message = messageOf(error, args);
  // Before the log is set up there is only what every command-line tool does.
  if (getConfig() === null) complain(message);
  else getLogger(["pg2kinesis", "cli"]).error(verbatim(message), { error });
  return error instanceof UsageError ? EXIT.usage : EXIT.runFailed;
}

function messageOf(error: unknown, args: readonly string[]): string {
  if (error instanceof RunError) return error.message;
  if (error instanceof UsageError) {
    // These have flags that the main help does not show.
    const { command } = takeApart(args);
    const help = ["tail", "backfill", "plan", "health"].includes(command) ? ` ${command}` : "";
    return `${error.message} (see pg2kinesis${help} --help)`;
  }
  const words = !(error instanceof Error)
    ? String(error)
    : error.name === "Error"
    ? error.message
    : `${error.name}: ${error.message}`;
  return `unexpected error: ${words}; run again with --log-level debug for the stack trace, and ` +
    "report it";
}

/** A text for the log that is no template: its braces are its own. */
const verbatim = (text: string) => text.replaceAll("{", "{{").replaceAll("}", "}}");

/** A line to stderr when there is no log yet. Never more than one, whatever is in the message. */
function complain(message: string): void {
  const line = message.replace(/\s*[\r\n]+\s*/g, " ");
  writeLine(printable(redact(`pg2kinesis: ${line}`)));
}

/** Errors that no `await` is waiting for end the run too. */
function strayErrors(): { readonly first: Promise<never>; readonly stop: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  // Without a reader the rejection would itself be a stray one.
  promise.catch(() => {});
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reject(event.reason);
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    reject(event.error);
  };
  addEventListener("unhandledrejection", onRejection);
  addEventListener("error", onError);
  return {
    first: promise,
    stop: () => {
      removeEventListener("unhandledrejection", onRejection);
      removeEventListener("error", onError);
    },
  };
}
