import { distrust } from "../postgres/socket_owner.ts";

/** What the command line may look at on this machine; tests give their own. */
export interface HostView {
  readonly os: "windows" | "other";
  exists(path: string): boolean;
  /** Why a Unix socket that is there, and that nobody named, is not to be used; undefined: it is. */
  distrust(socket: string): string | undefined;
  /** Undefined when there is no such file; throws when it cannot be read. */
  readTextFile(path: string): string | undefined;
}

export const thisHost: HostView = {
  os: Deno.build.os === "windows" ? "windows" : "other",
  exists(path) {
    try {
      Deno.statSync(path);
      return true;
    } catch {
      // Not there, or hidden from us: for a default, both are a no.
      return false;
    }
  },
  distrust,
  readTextFile(path) {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
};
