/** The users of this machine, as `/etc/passwd` has them: there is no `getpwnam` here. */
const PASSWD = "/etc/passwd";

/** Undefined: the file does not have the user, who may be in a directory service. */
export function uidOf(user: string): number | undefined {
  return entries().find(({ name }) => name === user)?.uid;
}

/** `postgres (uid 101)`, or `uid 1000` of one without an entry. */
export function describeUser(uid: number): string {
  const name = entries().find((entry) => entry.uid === uid)?.name;
  return name === undefined ? `uid ${uid}` : `${name} (uid ${uid})`;
}

/** Read each time: a run lasts for months. */
function entries(): { readonly name: string; readonly uid: number }[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(PASSWD);
  } catch {
    // Windows, or a container that has only the program.
    return [];
  }
  return text.split("\n").flatMap((line) => {
    const [name, , uid] = line.split(":");
    return name && uid && /^\d+$/.test(uid) ? [{ name, uid: Number(uid) }] : [];
  });
}
