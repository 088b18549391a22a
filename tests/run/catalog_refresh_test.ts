import { assertEquals } from "@std/assert";
import { keepFresh } from "../../src/run/catalog_refresh.ts";
import type { Catalog } from "../../src/postgres/catalog/known_table.ts";
import { waitFor } from "../support/wait.ts";

function counting(): Catalog & { refreshes: number } {
  return {
    refreshes: 0,
    version: 0,
    hasVirtualColumns: false,
    table: () => undefined,
    tables: () => [],
    typeName: () => undefined,
    domainBase: () => null,
    loadTypes: () => Promise.resolve(),
    isRead: () => true,
    readAgain: () => Promise.resolve(),
    readSoon: () => {},
    refresh() {
      this.refreshes++;
      return this.refreshes === 1 ? Promise.reject(new Error("no server")) : Promise.resolve();
    },
  };
}

Deno.test("keepFresh reads the catalog again by time, and goes on after a failure", async () => {
  const catalog = counting();
  using _fresh = keepFresh(catalog, 5);
  await waitFor(() => catalog.refreshes >= 3, { what: "three refreshes" });
});

Deno.test("keepFresh reads the catalog again on SIGHUP, until it is disposed of", async () => {
  const catalog = counting();
  // Keeps the process alive once keepFresh no longer listens.
  let heard = 0;
  const listener = () => heard++;
  Deno.addSignalListener("SIGHUP", listener);
  const hangUp = async () => {
    const before = heard;
    Deno.kill(Deno.pid, "SIGHUP");
    await waitFor(() => heard > before, { what: "the signal" });
  };
  try {
    {
      using _fresh = keepFresh(catalog, 0);
      await hangUp();
      await waitFor(() => catalog.refreshes === 1, { what: "a refresh" });
    }
    await hangUp();
    assertEquals(catalog.refreshes, 1);
  } finally {
    Deno.removeSignalListener("SIGHUP", listener);
  }
});
