import { join } from "node:path";

/** PEM texts. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Why a test with certificates skips. */
export const NO_OPENSSL = "skipped: needs the program openssl (apt-get install openssl)";

/** An authority of the test's own, made by openssl. */
export class Authority implements Certificate {
  private constructor(readonly cert: string, readonly key: string) {}

  static async create(name: string): Promise<Authority> {
    return await inTempDir(async (dir) => {
      await openssl(dir, [
        ..."req -new -x509 -days 2 -nodes -newkey rsa:2048 -keyout key -out cert".split(" "),
        ...["-subj", `/CN=${name}`],
      ]);
      return new Authority(await readText(dir, "cert"), await readText(dir, "key"));
    });
  }

  /** `names` as openssl has them, `DNS:localhost` or `IP:127.0.0.1`; `days` may be negative. */
  async sign(commonName: string, names: readonly string[] = [], days = 2): Promise<Certificate> {
    return await inTempDir(async (dir) => {
      await Deno.writeTextFile(join(dir, "ca"), this.cert);
      await Deno.writeTextFile(join(dir, "ca_key"), this.key);
      const extension = names.length > 0 ? `subjectAltName=${names.join(",")}\n` : "";
      await Deno.writeTextFile(join(dir, "extensions"), extension);
      await openssl(dir, [
        ..."req -new -nodes -newkey rsa:2048 -keyout key -out request".split(" "),
        ...["-subj", `/CN=${commonName}`],
      ]);
      const day = (offset: number) =>
        `${new Date(Date.now() + offset * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, "")}`;
      await Deno.mkdir(join(dir, "new"));
      await Deno.writeTextFile(join(dir, "index"), "");
      await Deno.writeTextFile(
        join(dir, "config"),
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nnew_certs_dir=new\nrand_serial=yes\n" +
          "default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n",
      );
      await openssl(dir, [
        ..."ca -batch -notext -config config -cert ca -keyfile ca_key -in request".split(" "),
        ..."-out cert -extfile extensions".split(" "),
        ...["-startdate", day(Math.min(0, days) - 1), "-enddate", day(days)],
      ]);
      return { cert: await readText(dir, "cert"), key: await readText(dir, "key") };
    });
  }
}

export function hasOpenssl(): boolean {
  try {
    return new Deno.Command("openssl", { args: ["version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

async function openssl(cwd: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

async function inTempDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "pg2k_cert_" });
  try {
    return await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function readText(dir: string, name: string): Promise<string> {
  return Deno.readTextFile(join(dir, name));
}
