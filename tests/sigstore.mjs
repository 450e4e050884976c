// Verifies a Sigstore bundle. Reads {"bundle": value, "keys": {hint: DER}, "authorities": [[DER, …]], "timestamps": N}
// from standard input, DER as base64, an authority as its certificates from its own to the root. Writes {"code": null}
// when the bundle verifies with at least N timestamps, else the code of the error.

import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const job = JSON.parse(readFileSync(0, "utf8"));
const der = (text) => ({ rawBytes: Buffer.from(text, "base64") });
const root = {
  certificateAuthorities: [],
  timestampAuthorities: job.authorities.map((chain) => ({ certChain: { certificates: chain.map(der) } })),
  tlogs: [],
  ctlogs: [],
};
const keys = Object.fromEntries(Object.entries(job.keys).map(([hint, key]) => [hint, der(key)]));
const verifier = new Verifier(toTrustMaterial(root, keys), { tlogThreshold: 0, tsaThreshold: job.timestamps });

let code = null;
try {
  verifier.verify(toSignedEntity(bundleFromJSON(job.bundle)));
} catch (error) {
  code = error.code ?? error.constructor.name;
}
process.stdout.write(JSON.stringify({ code }));
