#!/bin/sh
# Shows pg2kinesis at work on real parts: PostgreSQL 18 and kinesalite from npm, a small workload,
# and what a consumer reads back from the stream. The last line compares the two.
#
#   sh scripts/demo.sh [--keep]     --keep leaves it all up and says how to connect
#
# Needs Deno 2.4 or newer, or Node's npm to take it from; leaves nothing running. With
# PG2KINESIS_BIN set, it runs that executable instead of the source.
set -eu
cd "$(dirname "$0")/.."
. scripts/find_deno.sh
deno=$(find_deno)

echo "Getting what the demo needs, where it is not there yet ..."
"$deno" cache --quiet --frozen main.ts scripts/demo.ts
exec "$deno" run --allow-all --quiet --cached-only --frozen scripts/demo.ts "$@"
