import { getProfileName, parseKnownFiles } from "@smithy/core/config";
import { homedir } from "node:os";

/** The settings of a section, by their names. */
export type Section = Readonly<Record<string, string | undefined>>;

/** `~/.aws/config` and `~/.aws/credentials`, or the files that stand for them, as they are now. */
export interface SharedConfig {
  readonly profiles: Readonly<Record<string, Section>>;
  /** The one that AWS_PROFILE names, else `default`. */
  readonly profileName: string;
  /** The section of that profile; empty where there is none. */
  readonly profile: Section;
}

/** Reads the files each time: a new login, or a rotation of keys, writes them while this process runs. */
export async function readSharedConfig(): Promise<SharedConfig> {
  settleHome();
  const profiles = await parseKnownFiles({ ignoreCache: true }) as SharedConfig["profiles"];
  const profileName = getProfileName({});
  return { profiles, profileName, profile: profiles[profileName] ?? {} };
}

/** The SDK fails by a TypeError where neither HOME nor the system knows a home: it has no files then. */
function settleHome(): void {
  const { HOME, USERPROFILE, HOMEPATH } = Deno.env.toObject();
  if (HOME || USERPROFILE || HOMEPATH) return;
  try {
    if (homedir()) return;
  } catch {
    // An unknown user.
  }
  Deno.env.set("HOME", "/");
}
