import { assertEquals, assertMatch } from "@std/assert";
import { type ServerFacts, serverProblems } from "../../../src/postgres/slot/server_facts.ts";

const FACTS: ServerFacts = {
  place: "db:5432",
  version: 150018,
  versionName: "15.18",
  walLevel: "logical",
  database: "shop",
  encoding: "UTF8",
  isStandby: false,
  isRds: false,
  role: "replicator",
  mayReplicate: true,
  outputPluginLibraries: undefined,
};

Deno.test("serverProblems refuses a standby before 16, and says how to find the primary", () => {
  const standby = { ...FACTS, isStandby: true };
  assertEquals([...serverProblems(FACTS, "pgoutput").keys()], []);
  assertEquals([...serverProblems(standby, "pgoutput").keys()], ["standby"]);
  const { found, advice } = serverProblems(standby, "pgoutput").get("standby")!;
  assertMatch(found, /^db:5432 is a standby, where PostgreSQL 15\.18 cannot decode changes/);
  assertMatch(advice, /^connect to the primary .*target_session_attrs=primary/);
  assertEquals([...serverProblems({ ...standby, version: 160000 }, "pgoutput").keys()], []);
});

Deno.test("serverProblems finds all that is wrong, the oldest release first", () => {
  const worst = { ...FACTS, version: 90624, walLevel: "replica", mayReplicate: false };
  const problems = serverProblems({ ...worst, encoding: "LATIN1" }, "test_decoding");
  assertEquals([...problems.keys()], ["version", "wal_level", "role", "encoding"]);
  assertEquals([...serverProblems({ ...FACTS, encoding: "LATIN1" }, "pgoutput").keys()], []);
});
