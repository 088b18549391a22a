import { Ajv2020, type ValidateFunction } from "ajv/2020";
import { JSON_SCHEMA } from "../../src/format/json_schema.ts";

let ajv: Ajv2020 | undefined;
let isValid: ValidateFunction | undefined;

/** What the JSON Schema that `pg2kinesis schema` prints finds wrong with a record; undefined: nothing. */
export function faultOf(record: unknown): string | undefined {
  ajv ??= new Ajv2020({ allErrors: true }).addSchema(JSON_SCHEMA);
  isValid ??= ajv.getSchema(JSON_SCHEMA.$id as string)!;
  if (isValid(record)) return undefined;
  // Of the kind that the record says it is, if there is such a kind.
  const { op } = record as { readonly op?: unknown };
  const own = ajv.getSchema(`${JSON_SCHEMA.$id}#/$defs/${op}`);
  const { errors } = own === undefined || own(record) ? isValid : own;
  return errors!.map(({ instancePath, message, params }) =>
    `${instancePath} ${message} ${JSON.stringify(params)}`.trim()
  ).join("; ");
}

/**
 * Holds a record of the format JSON to its schema: wherever tests read records, so that the schema has
 * every kind of them. Other formats pass.
 * @throws {Error} with what is wrong and the record.
 */
export function holdToSchema(text: string): void {
  if (!/^\{"v":\d+,"op":/.test(text)) return;
  const fault = faultOf(JSON.parse(text));
  if (fault !== undefined) throw new Error(`not by the JSON Schema: ${fault}\n${text}`);
}
