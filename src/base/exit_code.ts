/** What ends the process. Distinct, so that a supervisor can tell a typo from a failure. */
export const EXIT = { ok: 0, runFailed: 1, usage: 2 } as const;
