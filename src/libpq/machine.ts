import { distrust } from "./socket_owner.ts";

/** What the command line may look at on this machine; tests give their own. */
export interface Machine {
  readonly os: "windows" | "other";
  exists(path: string): boolean;
  /** Whether it is there and a plain file, not a pipe. */
  isFile(path: string): boolean;
  /** Whether users other than its owner may read it, by its mode. */
  othersMayRead(path: string): boolean;
  /** Why a Unix socket that is there, and that nobody named, is not to be used; undefined: it is. */
  distrust(socket: string): string | undefined;
  /** Undefined when there is no such file; throws when it cannot be read. */
  readTextFile(path: string): string | undefined;
}

export const thisMachine: Machine = {
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
  isFile(path) {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  },
  othersMayRead(path) {
    try {
      return ((Deno.statSync(path).mode ?? 0) & 0o077) !== 0;
    } catch {
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
