/**
 * Runs the scenario of `tests/fixtures/` on real servers and writes what the output plugins made of
 * it to `tests/fixtures/<plugin>-<major>.jsonl`:
 *
 *     deno run -A scripts/capture_fixtures.ts
 *
 * Needs Debian's postgresql-15 with wal2json; 18 comes from npm. A test captures again and compares.
 */
import { CAPTURE_SETTINGS, captureFixtures } from "../tests/fixtures/capture.ts";
import { fixturePath, writeFixture } from "../tests/fixtures/fixture.ts";
import { findDebianPostgres, startDebianPostgres } from "../tests/support/debian_postgres.ts";
import { startEmbeddedPostgres } from "../tests/support/embedded_postgres.ts";

if (findDebianPostgres() === undefined) {
  console.error("capture needs Debian's postgresql-15 and postgresql-15-wal2json: apt-get install");
  Deno.exit(1);
}

for (const start of [startDebianPostgres, startEmbeddedPostgres]) {
  await using server = await start({ settings: CAPTURE_SETTINGS });
  for (const fixture of await captureFixtures(server)) {
    const path = fixturePath(fixture.plugin, fixture.major);
    await writeFixture(path, fixture);
    console.log(`${path}: ${fixture.messages.length} messages`);
  }
}
