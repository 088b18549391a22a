import { makePlan } from "../plan/plan.ts";
import type { PlanOptions } from "../plan/plan_options.ts";
import { renderPlan, renderPlanJson } from "../plan/render_plan.ts";
import { onStopSignal } from "../run/stop_signal.ts";
import { writeOut } from "./stdout.ts";

/** Prints how to spread a run over several. */
export async function plan(options: PlanOptions): Promise<void> {
  using stop = onStopSignal();
  const made = await makePlan(options, stop.signal);
  await writeOut(options.json ? renderPlanJson(made) : renderPlan(made), stop.signal);
}
