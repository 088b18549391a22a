import { dirname } from "node:path";
import { describeUser, uidOf } from "./system_users.ts";

/** A Unix socket that is not connected to, or not believed, because of who could have made it. */
export class SocketRefused extends Error {
  override name = "SocketRefused";
}

/** Whose socket is taken: `guessed` for one that nobody named, or the user of `requirepeer`. */
export type SocketRule =
  | { readonly kind: "guessed" }
  | { readonly kind: "peer"; readonly user: string };

/** The user that packages of PostgreSQL make for the server. */
const SERVER_USER = "postgres";
const ROOT = 0;

const OTHERS_MAY_WRITE = 0o002;
const STICKY = 0o1000;

/** A socket file, as long as it is the same one. */
interface SocketFile {
  readonly device: number;
  readonly inode: number | null;
  readonly madeMs: number | undefined;
}

/**
 * Looks at the owner of a Unix socket before it is connected to, and again once it is. The kernel knows
 * who listens (`SO_PEERCRED`, which libpq asks), but Deno cannot. The owner of the file is who
 * made it, and nobody but that one and root can put another in its place as long as the folder, and
 * those above it, are not others' to rename in; so a file that is the same before and after is the one
 * that was connected to.
 */
export class SocketGuard {
  readonly #before: SocketFile;

  /** @throws {SocketRefused} */
  constructor(private readonly path: string, rule: SocketRule) {
    this.#before = check(path, rule);
  }

  /** To be asked once connected, before anything is believed. */
  refusal(): SocketRefused | undefined {
    try {
      const now = identify(Deno.lstatSync(this.path));
      if (
        now.device === this.#before.device && now.inode === this.#before.inode &&
        now.madeMs === this.#before.madeMs
      ) return undefined;
    } catch {
      // Gone: what is connected to may be the one before or one that was there for a moment.
    }
    return new SocketRefused(
      `the socket ${this.path} was replaced while it was being connected to`,
    );
  }
}

/** Why a socket that nobody named is not taken; undefined when it is. */
export function distrust(path: string): string | undefined {
  try {
    check(path, { kind: "guessed" });
    return undefined;
  } catch (error) {
    if (error instanceof SocketRefused) return error.message;
    throw error;
  }
}

function check(path: string, rule: SocketRule): SocketFile {
  const peer = rule.kind === "peer" ? uidOfPeer(rule.user) : undefined;
  const file = Deno.lstatSync(path);
  const { uid } = file;
  if (uid === null) {
    throw new SocketRefused(`the owner of the socket ${path} cannot be determined here`);
  }
  if (file.isSymlink) {
    throw new SocketRefused(
      `${path} is a symbolic link, which does not say who listens; name the folder that it leads ` +
        "to with --pg-host",
    );
  }
  const owner = describeUser(uid);
  if (rule.kind === "peer" && uid !== peer) {
    throw new SocketRefused(
      `requirepeer asks for a server of the user ${JSON.stringify(rule.user)}, and the socket ` +
        `${path} belongs to ${owner}`,
    );
  }
  const trusted = new Set([ROOT, Deno.uid(), peer ?? uidOf(SERVER_USER)]);
  if (!trusted.has(uid)) {
    throw new SocketRefused(
      `the socket ${path} belongs to ${owner}, not to root, ${SERVER_USER} or the user of this ` +
        `program; if it is your server's, name it with --pg-host ${dirname(path)}`,
    );
  }
  for (let folder = Deno.realPathSync(dirname(path));; folder = dirname(folder)) {
    const { uid: folderOwner, mode } = Deno.lstatSync(folder);
    const isOpen = ((mode ?? 0) & OTHERS_MAY_WRITE) !== 0 && ((mode ?? 0) & STICKY) === 0;
    if (!trusted.has(folderOwner) || isOpen) {
      const who = isOpen ? "everybody" : describeUser(folderOwner ?? -1);
      throw new SocketRefused(
        `the socket ${path} could be anybody's: ${who} may replace files in ${folder}; name the ` +
          `server with --pg-host${rule.kind === "peer" ? " in a safe folder" : ""}`,
      );
    }
    if (dirname(folder) === folder) break;
  }
  return identify(file);
}

function identify({ dev, ino, birthtime }: Deno.FileInfo): SocketFile {
  return { device: dev, inode: ino, madeMs: birthtime?.getTime() };
}

function uidOfPeer(user: string): number {
  const uid = uidOf(user);
  if (uid !== undefined) return uid;
  throw new SocketRefused(
    `requirepeer asks for a server of the user ${
      JSON.stringify(user)
    }, who is not in /etc/passwd, ` +
      "so that a socket's owner cannot be compared; leave it out, or connect by TCP with " +
      "--pg-sslmode verify-full",
  );
}
