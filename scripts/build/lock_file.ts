/** The part of `deno.lock` that is read here. */
export interface LockFile {
  readonly version: string;
  /** Such as `npm:pg@8.23.1`, and the version that it stands for. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** By name and version, such as `pg@8.23.1`; behind a `_` stand the versions of its peers. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
  readonly workspace?: { readonly dependencies?: readonly string[] };
}

interface LockedPackage {
  /** `sha512-` and base64. */
  readonly integrity: string;
  /** By name alone where there is one version of it. */
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
}

/** `@aws-sdk/core@3.981.0_peer@1.0.0` is version 3.981.0 of @aws-sdk/core. */
export function splitKey(key: string): { readonly name: string; readonly version: string } {
  const { name, version } = /^(?<name>@?[^@]+)@(?<version>[^_]+)/.exec(key)?.groups ?? {};
  if (name === undefined || version === undefined) throw new Error(`deno.lock: no package: ${key}`);
  return { name, version };
}

/** The lock file's key of a package that it names with or without a version. */
export function keyOf(given: string, { npm }: Pick<LockFile, "npm">): string {
  if (Object.hasOwn(npm, given)) return given;
  const keys = Object.keys(npm);
  let found = keys.filter((key) => key.startsWith(`${given}_`));
  if (found.length === 0) found = keys.filter((key) => splitKey(key).name === given);
  if (found.length !== 1) throw new Error(`deno.lock has ${found.length} packages for ${given}`);
  return found[0]!;
}

/** The keys of what a package needs. */
export function neededBy(key: string, lock: Pick<LockFile, "npm">): string[] {
  const { dependencies = [], optionalDependencies = [] } = lock.npm[key]!;
  return [...dependencies, ...optionalDependencies].map((given) => keyOf(given, lock));
}

/** The lock file with these packages, such as `pg@8.23.1`, what they need, and nothing more. */
export function onlyWith(direct: readonly string[], lock: LockFile): LockFile {
  const wanted = new Set<string>();
  const open = direct.map((given) => keyOf(given, lock));
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (wanted.has(key)) continue;
    wanted.add(key);
    open.push(...neededBy(key, lock));
  }
  const specifiers = direct.map((given) => `npm:${given}`);
  const pick = <Value>(record: Readonly<Record<string, Value>>, isKept: (key: string) => boolean) =>
    Object.fromEntries(Object.entries(record).filter(([key]) => isKept(key)));
  return {
    version: lock.version,
    specifiers: pick(lock.specifiers, (key) => specifiers.includes(key)),
    npm: pick(lock.npm, (key) => wanted.has(key)),
    workspace: {
      dependencies: lock.workspace?.dependencies?.filter((key) => specifiers.includes(key)) ?? [],
    },
  };
}
