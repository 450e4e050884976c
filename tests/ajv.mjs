// Validates JSON files with Ajv in strict mode. Reads {"schema": path, "files": [paths], "values": [JSON texts]} from
// standard input and writes, for each of them, null when it is no JSON, else {"valid": …, "errors": […]}.

import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const job = JSON.parse(readFileSync(0, "utf8"));
const ajv = new Ajv.default({ strict: true, verbose: true });
addFormats.default(ajv);
const validate = ajv.compile(JSON.parse(readFileSync(job.schema, "utf8")));

function judge(bytes) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return null;
  }
  try {
    const valid = validate(value);
    const errors = (validate.errors ?? []).map((error) => ({
      pointer: error.instancePath,
      keyword: error.keyword,
      title: error.parentSchema.title ?? null,
    }));
    return { valid, errors };
  } catch (error) {
    if (error instanceof RangeError) return null; // nested too deep for the stack
    throw error;
  }
}

const results = [...job.files.map((path) => readFileSync(path)), ...job.values.map((text) => Buffer.from(text))];
process.stdout.write(JSON.stringify(results.map(judge)));
