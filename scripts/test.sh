#!/bin/sh
# Runs all tests, or those that the arguments for `deno test` ask for:
#
#   sh scripts/test.sh [tests/postgres ...] [--filter NAME] [...]
#
# Takes Deno from PATH when it is 2.4 or newer, else from npm. The last line counts the tests;
# the exit code is 0 only when all of them passed.
set -eu
cd "$(dirname "$0")/.."
. scripts/find_deno.sh
deno=$(find_deno)

# Without a path among the arguments it is all of tests/.
paths=tests
for argument in "$@"; do
  if [ -e "$argument" ]; then paths=; fi
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A copy of the lock file: another version of Deno would add its own types of Node.js to ours.
cp deno.lock "$scratch/deno.lock"

# As many test files at once as there are processors: each may have a server of its own.
{
  code=0
  NO_COLOR=1 "$deno" test --allow-all --lock="$scratch/deno.lock" --parallel "$@" $paths 2>&1 ||
    code=$?
  echo "$code" >"$scratch/code"
} | tee "$scratch/output"
code=$(cat "$scratch/code")

# Deno's own last line: `ok | 7 passed (2 steps) | 0 failed | 1 ignored (6s)`.
summary=$(grep -E '^(ok|FAILED) \| [0-9]+ passed' "$scratch/output" | tail -n 1)
count() {
  number=$(printf '%s\n' "$summary" | sed -n "s/.*| \([0-9][0-9]*\) $1.*/\1/p")
  echo "${number:-0}"
}
passed=$(count passed) failed=$(count failed) skipped=$(count ignored)
# A module that does not compile, or that throws, has no line of its own in that count.
if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ "$skipped" -eq 0 ]; then
  echo "$passed passed, $failed failed"
else
  echo "$passed passed, $failed failed, $skipped skipped"
fi
exit "$code"
