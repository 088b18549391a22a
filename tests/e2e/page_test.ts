import { assert, assertEquals, assertMatch } from "@std/assert";
import type { BrowserContextOptions, Page } from "playwright-core";
import { FaultServerProcess, STREAM } from "../campaign/fault_server_process.ts";
import { hasChromium, NO_CHROMIUM, startBrowser } from "../support/browser.ts";
import { startEmbeddedPostgres } from "../support/embedded_postgres.ts";
import { telemetryUrl } from "../support/metrics.ts";
import { Pg2kinesis } from "../support/pg2kinesis.ts";
import { freshDatabase } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait.ts";
import { flagsFor, waitUntilConfirmed } from "../support/following_program.ts";

const ignore = !hasChromium();
if (ignore) console.log(NO_CHROMIUM);

/** Where pictures of what was seen go, if anywhere. */
const PICTURES = Deno.env.get("PG2KINESIS_SCREENSHOTS");

const VIEWS: readonly (BrowserContextOptions & { readonly name: string })[] = [
  { name: "desktop light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "desktop dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  { name: "phone", viewport: { width: 375, height: 740 }, colorScheme: "light", hasTouch: true },
];

Deno.test("the page of --metrics-addr shows a run to a person, wide and narrow, light and dark", {
  ignore,
}, async () => {
  await using server = await startEmbeddedPostgres();
  await using db = await freshDatabase(server);
  await db.sql("create table t (id int primary key, filler text); create table keyless (n int)");
  await db.createSlot("test_decoding");
  await using kinesis = await FaultServerProcess.start({ seed: 1, shards: 2 });
  await using program = await Pg2kinesis.start(
    [...flagsFor(db, STREAM), "--metrics-addr", "0", "--ready-lag", "1s"],
    { env: { ...kinesis.env, PGPASSWORD: "a-secret-password" } },
  );
  const url = await telemetryUrl(program);
  await program.waitForLog(/following slot/);
  await db.sql("insert into keyless values (1), (2)");
  await db.sql("insert into t select n, repeat('x', 100) from generate_series(1, 1234) n");
  await waitUntilConfirmed(db, program);

  const browser = await startBrowser();
  try {
    for (const { name, ...view } of VIEWS) {
      const context = await browser.newContext(view);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));
      page.on("pageerror", (error) => complaints.push(String(error)));
      const elsewhere: string[] = [];
      page.on("request", (request) => {
        if (!request.url().startsWith(url)) elsewhere.push(request.url());
      });
      await page.goto(url);
      await waitForText(page, "#state", "streaming");
      await waitForText(page, "#totals", "Skipped: no key");
      await waitUntilDrawn(page);
      assertEquals(await fact(page, "Changes"), "1,236");
      assertEquals(await fact(page, "Skipped: no key"), "2");
      assertEquals(await fact(page, "Shards"), "2");
      assertMatch(
        await page.locator("#names").innerText(),
        new RegExp(`slot ${db.slot} .* at 127\\.0\\.0\\.1:\\d+, .*${STREAM} in us-east-1`),
      );
      assertMatch(await page.title(), /^streaming, lag .*: pg2kinesis$/);
      assert(!(await page.content()).includes("a-secret-password"));
      assert(await isWithinWidth(page), `${name}: it is wider than the window`);
      await hoverFirstPlot(page);
      await picture(page, `page ${name}`);
      assertEquals(complaints.filter((text) => !text.startsWith("Failed to load")), [], name);
      assertEquals(elsewhere.filter((each) => !each.startsWith("data:")), [], name);
      await context.close();
    }

    const page = await browser.newPage();
    await page.goto(url);
    await waitForText(page, "#state", "streaming");
    await kinesis.setChances({ throttle: 1 });
    await db.sql("insert into t select n, repeat('x', 100) from generate_series(2001, 4000) n");
    await waitForText(page, "#message", "Not ready: behind by");
    await waitForText(page, "#message", "failing since");
    await waitForText(page, "#message", "ProvisionedThroughputExceededException");
    await waitForText(page, "#totals", "Retries: throttled");
    await waitForText(page, "#totals", "Puts that failed");
    assertEquals(await page.locator("#state").innerText(), "puts failing");
    assertEquals(await page.locator("#state").getAttribute("class"), "pill bad");
    await picture(page, "page throttled");
    await kinesis.setChances({});
    await waitFor(async () => !(await page.locator("#message").isVisible()), {
      what: "the page to show that the run is ready again",
    });
    assertEquals(await page.locator("#state").innerText(), "streaming");

    assertEquals(await program.stop(), 0, program.stderr);
    await waitForText(page, "#message", "No answer since");
  } finally {
    await browser.close();
  }
});

function waitForText(page: Page, selector: string, text: string): Promise<boolean> {
  const shown = () => page.locator(selector).innerText();
  return waitFor(async () => (await shown()).includes(text), {
    what: `the page's ${selector} to show ${JSON.stringify(text)}`,
    found: shown,
  });
}

/** Two samples make a line. */
async function waitUntilDrawn(page: Page): Promise<void> {
  const paths = () =>
    page.locator("svg path").evaluateAll((found) => found.map((path) => path.getAttribute("d")));
  await waitFor(async () => {
    const drawn = await paths();
    return drawn.length === 8 && drawn.every((d) => /^M.*L/.test(d ?? ""));
  }, { what: "eight lines to be drawn", found: paths });
}

/** What stands under a name, in any list. */
async function fact(page: Page, name: string): Promise<string> {
  const term = page.locator("dt").filter({ hasText: new RegExp(`^${name}$`) });
  return (await term.locator("xpath=following-sibling::dd/span").innerText()).trim();
}

function isWithinWidth(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth <= innerWidth");
}

/** The cursor's moment is told, with the values of then. */
async function hoverFirstPlot(page: Page): Promise<void> {
  const plot = page.locator("svg").first();
  await plot.scrollIntoViewIfNeeded();
  const box = (await plot.boundingBox())!;
  await page.mouse.move(box.x + box.width - 20, box.y + box.height / 2);
  assertMatch(
    await page.locator(".plot").first().innerText(),
    /\bat \d\d:\d\d:\d\d\s+oldest commit not stored: /,
  );
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  await page.screenshot({ path: `${PICTURES}/${name.replaceAll(" ", "_")}.png`, fullPage: true });
}
