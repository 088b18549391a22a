import type { MappingOptions } from "./event_source_mapping.ts";

/** How a mapping may deliver without making the copy wrong; with a factor only without aggregation. */
export const MAPPINGS: readonly (readonly [name: string, options: MappingOptions])[] = [
  ["single records, each batch twice", { batchSize: 1, redelivers: () => true }],
  ["batches, every third twice", { batchSize: 7, redelivers: (batch) => batch % 3 === 0 }],
  ["batches that are halved where they fail", { batchSize: 50, bisectOnError: true }],
  ["tumbling windows", { batchSize: 5, tumblingWindow: 3 }],
  [
    "ParallelizationFactor 4, without aggregation",
    { batchSize: 20, parallelizationFactor: 4, redelivers: (batch) => batch % 5 === 0 },
  ],
];
