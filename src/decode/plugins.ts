import type { OutputPlugin } from "../options.ts";
import { PGOUTPUT } from "./pgoutput/pgoutput.ts";
import type { Plugin } from "./plugin.ts";
import { TEST_DECODING } from "./test_decoding/test_decoding.ts";
import { WAL2JSON } from "./wal2json/wal2json.ts";

/** The output plugins that can be followed. */
export const PLUGINS: Readonly<Record<OutputPlugin, Plugin>> = {
  test_decoding: TEST_DECODING,
  wal2json: WAL2JSON,
  pgoutput: PGOUTPUT,
};
