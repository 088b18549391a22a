import type { Machine } from "./dist_files.ts";
import { gzip, sha256, type TarEntry, withFolders, writeTar } from "./tar.ts";

/** An image for one machine. */
export interface MachineImage {
  readonly machine: Machine;
  /** From the bottom, each a list of files. */
  readonly layers: readonly (readonly TarEntry[])[];
  readonly user: number;
  readonly entrypoint: readonly string[];
  readonly env: readonly string[];
  readonly home: string;
  readonly labels: Readonly<Record<string, string>>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

/**
 * An archive in the OCI image layout, which podman, skopeo, crane and containerd read: one image for
 * several machines under one name. `time` is that of everything, in seconds since 1970.
 */
export async function ociArchive(
  images: readonly MachineImage[],
  { name, time }: { readonly name: string; readonly time: number },
): Promise<Uint8Array> {
  const blobs = new Map<string, Uint8Array>();
  const keep = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const hex = await sha256(bytes);
    blobs.set(`blobs/sha256/${hex}`, bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const manifests = [];
  for (const image of images) manifests.push(await keepImage(image, time, keep));
  const image = await keep(INDEX, json({ schemaVersion: 2, mediaType: INDEX, manifests }));
  const top = {
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [{ ...image, annotations: { "org.opencontainers.image.ref.name": name } }],
  };
  const files = [
    { path: "oci-layout", mode: 0o644, bytes: json({ imageLayoutVersion: "1.0.0" }) },
    { path: "index.json", mode: 0o644, bytes: json(top) },
    ...[...blobs].map(([path, bytes]) => ({ path, mode: 0o644, bytes })),
  ];
  return writeTar(withFolders(files), time);
}

async function keepImage(
  { machine, layers, user, entrypoint, env, home, labels }: MachineImage,
  time: number,
  keep: (mediaType: string, bytes: Uint8Array) => Promise<Descriptor>,
) {
  const created = new Date(time * 1000).toISOString().replace(".000", "");
  const diffIds: string[] = [];
  const kept: Descriptor[] = [];
  for (const layer of layers) {
    const tar = writeTar(withFolders(layer), time);
    diffIds.push(`sha256:${await sha256(tar)}`);
    kept.push(await keep(LAYER, gzip(tar, 6)));
  }
  const config = await keep(
    CONFIG,
    json({
      created,
      architecture: machine,
      os: "linux",
      config: {
        User: `${user}:${user}`,
        Env: env,
        Entrypoint: entrypoint,
        WorkingDir: home,
        Labels: labels,
        StopSignal: "SIGTERM",
      },
      rootfs: { type: "layers", diff_ids: diffIds },
      history: layers.map(() => ({ created, created_by: "scripts/image.ts" })),
    }),
  );
  const manifest = await keep(
    MANIFEST,
    json({ schemaVersion: 2, mediaType: MANIFEST, config, layers: kept, annotations: labels }),
  );
  return { ...manifest, platform: { architecture: machine, os: "linux" } };
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
