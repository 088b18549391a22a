import { join } from "node:path";
import { runDeno } from "./run_deno.ts";

/** A package as Deno keeps it. */
export interface KeptPackage {
  /** The registry's folder, such as `registry.npmjs.org`; a company's mirror has another. */
  readonly registry: string;
  readonly folder: string;
}

/** The part of a package.json that is read here. */
interface Manifest {
  readonly license?: unknown;
  readonly author?: string | { readonly name?: string };
  readonly homepage?: string;
  readonly repository?: string | { readonly url?: string };
}

/** The packages that Deno keeps on this machine. */
export class PackageCache {
  private constructor(
    readonly denoDir: string,
    private readonly npmCache: string,
    /** One for each registry that packages came from. */
    private readonly registries: readonly string[],
  ) {}

  static async open(root: string): Promise<PackageCache> {
    const { denoDir, npmCache } = JSON.parse(await runDeno(root, ["info", "--json"]));
    const registries = [...Deno.readDirSync(npmCache)]
      .filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => name);
    return new PackageCache(denoDir, npmCache, registries);
  }

  /** Undefined: it is not there, as packages for other systems are not. */
  find(name: string, version: string): KeptPackage | undefined {
    for (const registry of this.registries) {
      const folder = join(this.npmCache, registry, name, version);
      if (this.#manifestIn(folder) !== undefined) return { registry, folder };
    }
    return undefined;
  }

  manifest(name: string, version: string): Manifest | undefined {
    const kept = this.find(name, version);
    return kept && this.#manifestIn(kept.folder);
  }

  /** The license that its package.json names, an SPDX expression as a rule. */
  licenseOf(name: string, version: string): string | undefined {
    const license = this.manifest(name, version)?.license;
    return typeof license === "string" ? license : undefined;
  }

  #manifestIn(folder: string): Manifest | undefined {
    try {
      return JSON.parse(Deno.readTextFileSync(join(folder, "package.json")));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }
}
