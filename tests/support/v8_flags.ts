/**
 * How the executable's V8 uses memory; tests and benches run the source with the same. New objects get 4 MiB
 * at most in the place of 16, and old ones are looked at when they have grown by half: most of the
 * peak memory was garbage that waited. Measured: 147 MiB in the place of 155 with 8 MiB, for 3 % of the
 * CPU time of a drain into one shard and 8 % into sixteen.
 *
 * Not `--single-threaded-gc`: it changed neither the peak (136 to 140 MiB with and without, executable)
 * nor, beyond what runs differ by, the CPU time of a drain (November 2026).
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=4,--heap-growing-percent=50";
