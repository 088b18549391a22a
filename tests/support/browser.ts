import { type Browser, chromium } from "playwright-core";

/** Debian's package chromium. */
const CHROMIUM = "/usr/bin/chromium";

/** What a test prints when it has to skip. */
export const NO_CHROMIUM = `skipped: needs Debian's chromium at ${CHROMIUM} (apt-get install)`;

export function hasChromium(): boolean {
  try {
    return Deno.statSync(CHROMIUM).isFile;
  } catch {
    return false;
  }
}

/** A headless browser that looks for nothing outside of this machine. */
export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM,
    // Tests run as root in CI, where Chromium's sandbox cannot.
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
    ],
  });
}
