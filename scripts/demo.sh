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
# With a copy of the lock file: another version of Deno would add its own types of Node.js to ours.
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
cp deno.lock "$lock"
"$deno" cache --quiet --lock="$lock" main.ts scripts/demo.ts
rm -f "$lock"
exec "$deno" run --allow-all --quiet --cached-only scripts/demo.ts "$@"
