#!/usr/bin/env node
/**
 * Verify Hearth execution records (hearth-record/1) offline, with nothing but Node 18 or later.
 *
 *     node verify_record.mjs (--trust FILE | --key PUBLIC.pem … | --no-trust) [options] FILE …
 *
 * Written from schemas/FORMAT.md alone, without a look at the other two verifiers: where the three agree, the text
 * was enough. "§" below means a section of it. Read this file from top to bottom: it goes the way of the text.
 *
 * One algorithm is missing: Node has no ML-DSA-44. A signature by such a key is `not_run`, and a record that names one
 * among its signers is never trusted (`unsupported-algorithm`, exit code 4).
 *
 * A file is held in memory once, its events one at a time.
 */

import { X509Certificate, createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import * as fs from "node:fs";
import process from "node:process";

/** The limits of §1, §2, §5. Sizes in bytes. */
const MAX_FILE = 1_073_741_824;
const MAX_FIRST_EVENT = 16_777_216;
const MAX_EVENT = 1_048_576;
const MAX_CLOSING = 67_108_864;
const MAX_STATEMENT = 4_096;
/** What nobody writes into a policy or a key file; a limit of this program. */
const MAX_POLICY = 16_777_216;
const MAX_LEVELS = 16;
const MAX_NAME = 128;
const MAX_TEXT = 65_536;
const MAX_SIGNERS = 16;
const MAX_COUNTERSIGNATURES = 64;

/** The checks in their order, each with the exit code of its failure; the exit codes with their verdicts (§8). */
const CHECKS = Object.entries({
  read: 3,
  canonical: 3,
  shape: 3,
  chain: 1,
  lifecycle: 1,
  disclosures: 1,
  sealed: 5,
  head: 1,
  signature: 1,
  trust: 4,
  timestamp: 4,
});
const VERDICTS = { 0: "verified", 1: "altered", 3: "unreadable", 4: "untrusted", 5: "incomplete", 70: "error" };
const USAGE = 2;
const REFUSED = 3;
const NOT_TRUSTED = 4;
const INTERNAL = 70;
/** Of several files the first of these that occurs is the exit code (§8). */
const WORST_FIRST = [INTERNAL, 1, 3, 5, 4];

const FORMAT = "hearth-record/1";
const OPENING = Buffer.from('{"format":"hearth-record/1","events":[\n');

/** A rule that does not hold: its code, a reason for people, and where there is one a place. */
class Fault extends Error {
  /**
   * @param {string} code - one of the codes of §8 or §9
   * @param {string} reason - for people
   * @param {{pointer?: string|null, seq?: number|null}} [place]
   */
  constructor(code, reason, { pointer = null, seq = null } = {}) {
    super(reason);
    Object.assign(this, { code, pointer, seq });
  }
}

/**
 * Run what may raise a `Fault`.
 * @param {() => void} action
 * @returns {Fault|null} the fault, or null when there is none
 */
function faultOf(action) {
  try {
    action();
  } catch (error) {
    if (error instanceof Fault) {
      return error;
    }
    throw error;
  }
  return null;
}

/** SHA-256 as 64 lowercase hex digits (§2). */
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

// ---- §1 JSON profile ------------------------------------------------------------------------------------------------
//
// Objects are read as Maps: a member may have any name, also "__proto__". Numbers are safe integers, so they are exact.

const [LINE_FEED, QUOTE, COMMA, BACKSLASH, BRACKET, BRACE] = Buffer.from('\n",\\]}');
const [OPEN_BRACKET, OPEN_BRACE, COLON, MINUS, ZERO, NINE, POINT] = Buffer.from("[{:-09.");
const WHITE_SPACE = new Set(Buffer.from(" \t\r\n"));
const EXPONENT = new Set(Buffer.from("eE"));
const SHORT_ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads one JSON value that lies within the profile. White space, member order and escapes are free. */
class Reader {
  #bytes;
  #at = 0;

  /** @param {Buffer} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
  }

  /**
   * Read the value, and nothing behind it.
   * @param {number} level - that of an outermost object or array
   * @returns {null|boolean|number|string|Array|Map}
   */
  read(level) {
    const value = this.#value(level);
    this.#skipWhiteSpace();
    if (this.#at < this.#bytes.length) {
      throw this.#notJson("text behind the value");
    }
    return value;
  }

  #fault(code, reason) {
    return new Fault(code, `${reason}, at byte ${this.#at}`);
  }

  #notJson(reason) {
    return this.#fault("not-json", reason);
  }

  /** Skip white space; return the byte behind it, undefined at the end. */
  #skipWhiteSpace() {
    while (WHITE_SPACE.has(this.#bytes[this.#at])) {
      this.#at += 1;
    }
    return this.#bytes[this.#at];
  }

  /** Pass over one byte that has to be there, behind white space. */
  #expect(byte) {
    if (this.#skipWhiteSpace() !== byte) {
      throw this.#notJson(`no ${String.fromCharCode(byte)} where one is needed`);
    }
    this.#at += 1;
  }

  #value(level) {
    const byte = this.#skipWhiteSpace();
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (level > MAX_LEVELS) {
        throw this.#fault("too-deep", `more than ${MAX_LEVELS} levels`);
      }
      return byte === OPEN_BRACE ? this.#object(level) : this.#array(level);
    }
    if (byte === QUOTE) {
      return this.#text();
    }
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) {
      return this.#integer();
    }
    return this.#literal();
  }

  /** Read members up to the closing byte: `item` reads one. */
  #members(close, item) {
    this.#at += 1;
    if (this.#skipWhiteSpace() === close) {
      this.#at += 1;
      return;
    }
    for (;;) {
      item();
      if (this.#skipWhiteSpace() !== COMMA) {
        break;
      }
      this.#at += 1;
    }
    this.#expect(close);
  }

  #array(level) {
    const items = [];
    this.#members(BRACKET, () => items.push(this.#value(level + 1)));
    return items;
  }

  #object(level) {
    const members = new Map();
    this.#members(BRACE, () => {
      if (this.#skipWhiteSpace() !== QUOTE) {
        throw this.#notJson("no member name where one is needed");
      }
      const name = this.#text();
      if (!isMemberName(name)) {
        throw this.#fault("member-name", "a member name is empty, too long, or beyond U+FFFF");
      }
      if (members.has(name)) {
        throw this.#fault("duplicate-member", `the member ${shown(name)} stands twice`);
      }
      this.#expect(COLON);
      members.set(name, this.#value(level + 1));
    });
    return members;
  }

  #text() {
    const parts = [];
    let start = (this.#at += 1);
    let ascii = true;
    const run = () => this.#decoded(start, ascii);
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === QUOTE) {
        parts.push(run());
        this.#at += 1;
        break;
      }
      if (byte === BACKSLASH) {
        parts.push(run(), this.#escape());
        start = this.#at;
        ascii = true;
      } else if (byte === undefined || byte < 0x20) {
        throw this.#notJson(byte === undefined ? "a text does not end" : "a raw control character in a text");
      } else {
        ascii &&= byte < 0x80;
        this.#at += 1;
      }
    }
    const text = parts.length === 1 ? parts[0] : parts.join("");
    if (parts.length > 1 && /[\ud800-\udfff]/u.test(text)) {
      throw this.#fault("lone-surrogate", "half a surrogate pair");
    }
    return text;
  }

  /** Decode the raw bytes of a text from `start` to here. UTF-8 in its shortest forms, no surrogates. */
  #decoded(start, ascii) {
    if (ascii) {
      return this.#bytes.toString("latin1", start, this.#at);
    }
    try {
      return UTF8.decode(this.#bytes.subarray(start, this.#at));
    } catch {
      throw this.#fault("invalid-utf8", "bytes that are not UTF-8");
    }
  }

  #escape() {
    const letter = this.#bytes.toString("latin1", this.#at + 1, this.#at + 2);
    if (letter !== "u") {
      if (!Object.hasOwn(SHORT_ESCAPES, letter)) {
        throw this.#notJson("an unknown escape");
      }
      this.#at += 2;
      return SHORT_ESCAPES[letter];
    }
    const digits = this.#bytes.toString("latin1", this.#at + 2, this.#at + 6);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) {
      throw this.#notJson("\\u without four hex digits");
    }
    this.#at += 6;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #skipDigits() {
    const start = this.#at;
    while (this.#bytes[this.#at] >= ZERO && this.#bytes[this.#at] <= NINE) {
      this.#at += 1;
    }
    return this.#at - start;
  }

  #integer() {
    const start = this.#at;
    if (this.#bytes[this.#at] === MINUS) {
      this.#at += 1;
    }
    const leadingZero = this.#bytes[this.#at] === ZERO;
    const count = this.#skipDigits();
    if (count === 0 || (leadingZero && count > 1)) {
      throw this.#notJson("a number without digits, or with a leading zero");
    }
    if (this.#bytes[this.#at] === POINT || EXPONENT.has(this.#bytes[this.#at])) {
      throw this.#fault("not-integer", "a number with a fraction or an exponent");
    }
    const value = count > 16 ? Infinity : Number(this.#bytes.toString("latin1", start, this.#at));
    if (Object.is(value, -0)) {
      throw this.#fault("not-integer", "minus zero");
    }
    if (!Number.isSafeInteger(value)) {
      throw this.#fault("integer-range", "an integer beyond 2^53 - 1");
    }
    return value;
  }

  #literal() {
    for (const [literal, value] of [["true", true], ["false", false], ["null", null]]) {
      if (this.#bytes.toString("latin1", this.#at, this.#at + literal.length) === literal) {
        this.#at += literal.length;
        return value;
      }
    }
    throw this.#notJson(this.#at < this.#bytes.length ? "no value where one is needed" : "the text ends too early");
  }
}

/** Whether a text may be a member's name: 1 to 128 code points, none beyond U+FFFF. */
const isMemberName = (name) => name.length >= 1 && name.length <= MAX_NAME && !/[\ud800-\udfff]/.test(name);

/**
 * The one canonical text of a value: JCS (RFC 8785) within the profile.
 *
 * `JSON.stringify` escapes in texts just what §1 says; `sort` compares UTF-16 code units, which is the order of code
 * points for names up to U+FFFF.
 */
function canonical(value) {
  if (Array.isArray(value)) {
    return `[${value.map(canonical).join(",")}]`;
  }
  if (value instanceof Map) {
    const names = [...value.keys()].sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value.get(name))}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Read bytes that have to be the canonical bytes of their own value. */
function readCanonical(bytes, level) {
  const value = new Reader(bytes).read(level);
  if (!bytes.equals(Buffer.from(canonical(value)))) {
    throw new Fault("not-canonical", "the bytes are not the canonical ones: white space, order of members, or escapes");
  }
  return value;
}

/** How many levels of objects and arrays a value has. */
function levelsOf(value) {
  const items = value instanceof Map ? [...value.values()] : value;
  return Array.isArray(items) ? 1 + items.reduce((most, item) => Math.max(most, levelsOf(item)), 0) : 0;
}

/** Whether a name out of a set stands anywhere in a value. */
function hasName(value, names) {
  if (value instanceof Map) {
    return [...value].some(([name, item]) => names.has(name) || hasName(item, names));
  }
  return Array.isArray(value) && value.some((item) => hasName(item, names));
}

/** A text as it may be shown on a terminal: quoted, everything beyond printable ASCII escaped (§10). */
const shown = (text) => escaped(JSON.stringify(text));
const escaped = (text) =>
  text.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

// ---- §2 Scalars -----------------------------------------------------------------------------------------------------
//
// A type is a function of a value and its JSON pointer that raises a Fault when the value is not of the type.

/** Make a type from a test. */
const type = (code, what, test) => (value, pointer) => {
  if (!test(value)) {
    throw new Fault(code, `not ${what}`, { pointer });
  }
};

const isText = (value) => typeof value === "string";
const isDigest = (value) => isText(value) && /^[0-9a-f]{64}$/.test(value);

/** Whether a text has at most 65,536 code points. */
const isShort = (text) =>
  text.length <= MAX_TEXT || (text.length <= 2 * MAX_TEXT && [...text].length <= MAX_TEXT);

/** The bytes of a text in base64 or base64url in its one spelling, else null. Encoding again finds all other ones. */
function decoded(text, alphabet) {
  const bytes = Buffer.from(text, alphabet);
  return text !== "" && bytes.toString(alphabet) === text ? bytes : null;
}

function isTimestamp(value) {
  if (!isText(value) || !/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$/.test(value)) {
    return false;
  }
  const [year, month, day, hour, minute, second] = value.split(/[^0-9]/).map(Number);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return year >= 1 && day >= 1 && day <= days && hour <= 23 && minute <= 59 && second <= 59;
}

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const integer = (least) =>
  type("type", `an integer from ${least}`, (value) => Number.isSafeInteger(value) && value >= least);

const timestamp = type("timestamp", "a timestamp", isTimestamp);
const digest = type("digest", "a digest", isDigest);
const identifier = type(
  "identifier",
  "an identifier",
  (value) => isText(value) && /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(value),
);
const text = type("type", "a text of at most 65,536 code points", (value) => isText(value) && isShort(value));
const someText = type("type", "a text of 1 to 65,536 code points", (value) => isText(value) && value && isShort(value));
const count = integer(0);
const positive = integer(1);
const boolean = type("type", "true or false", (value) => typeof value === "boolean");
const base64 = type("base64", "base64", (value) => isText(value) && decoded(value, "base64") !== null);
const base64urlCharacters = type(
  "base64url",
  "one or more base64url characters",
  (value) => isText(value) && /^[A-Za-z0-9_-]+$/.test(value),
);

const oneOf = (...constants) => type("value", `one of ${constants.join(", ")}`, (value) => constants.includes(value));
const nothing = type("type", "null", (value) => value === null);
const orNull = (other) => (value, pointer) => value === null || other(value, pointer);

/** An array of so many items, none of them twice under `distinct`, which is [code, key of an item]. */
const list = (item, { least = 0, most = MAX_INTEGER, distinct = null } = {}) => (value, pointer) => {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    throw new Fault("type", `not an array of ${least} items or more, ${most} at most`, { pointer });
  }
  const seen = new Set();
  for (const [index, entry] of value.entries()) {
    const place = `${pointer}/${index}`;
    item(entry, place);
    if (distinct && seen.size === seen.add(distinct[1](entry)).size) {
      throw new Fault(distinct[0], "stands here again", { pointer: place });
    }
  }
};

const step = (name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** An object with exactly these members; `whole` is asked last. */
const object = (members, whole = () => {}) => (value, pointer) => {
  if (!(value instanceof Map)) {
    throw new Fault("type", "not an object", { pointer });
  }
  for (const name of value.keys()) {
    if (!Object.hasOwn(members, name)) {
      throw new Fault("unknown", `there is no member ${shown(name)} here`, { pointer: pointer + step(name) });
    }
  }
  for (const [name, member] of Object.entries(members)) {
    if (!value.has(name)) {
      throw new Fault("missing", `the member ${shown(name)} is missing`, { pointer: pointer + step(name) });
    }
    member(value.get(name), pointer + step(name));
  }
  whole(value, pointer);
};

/** An object with members of any name. */
const mapping = (member) => (value, pointer) => {
  if (!(value instanceof Map)) {
    throw new Fault("type", "not an object", { pointer });
  }
  for (const [name, item] of value) {
    member(item, pointer + step(name));
  }
};

// ---- §3 Events ------------------------------------------------------------------------------------------------------

const RESERVED = new Set(["_sd", "..."]);

/** Whether a value is a disclosure's digest: 32 bytes in base64url (§6). */
const isDisclosureDigest = (value) => isText(value) && value.length === 43 && decoded(value, "base64url") !== null;

/** `details`: an object; `...` nowhere, `_sd` only at the top and of the form of §6. */
function details(value, pointer) {
  if (!(value instanceof Map)) {
    throw new Fault("type", "not an object", { pointer });
  }
  for (const [name, item] of value) {
    if (name === "..." || hasName(item, RESERVED)) {
      throw new Fault("reserved-name", "_sd or ... where it may not stand", { pointer: pointer + step(name) });
    }
  }
  if (!value.has("_sd")) {
    return;
  }
  const digests = value.get("_sd");
  const ascending = (item, index) => index === 0 || digests[index - 1] < item;
  if (
    !Array.isArray(digests) ||
    digests.length === 0 ||
    !digests.every(isDisclosureDigest) ||
    !digests.every(ascending)
  ) {
    throw new Fault("disclosure-digests", "not an ascending array of digests", { pointer: `${pointer}/_sd` });
  }
}

const LIVE_MODE_STATE = oneOf("LIVE", "DRY_RUN");
const STATUS = oneOf("completed", "failed", "incomplete");
const SECURITY_STATES = ["OPERATIONAL", "DEGRADED", "COMPROMISED", "LOCKDOWN"];
const BOUNDARY_STATES = ["NOMINAL", "ELEVATED", "COMPROMISED", "LOCKDOWN"];

const effectMembers = {
  category: oneOf("file_system", "network", "data_mutation", "configuration", "system", "other"),
  description: text,
  reversible: orNull(boolean),
  step_index: orNull(count),
};
const plan = object({
  plan_id: identifier,
  sha256: orNull(digest),
  steps: list(object({ step_index: count, step_name: someText })),
  declared_side_effects: list(object(effectMembers)),
  rollback_hints: list(
    object({
      step_index: count,
      description: text,
      actions: list(text),
      required_inputs: mapping(text),
      risks: list(text),
      estimated_duration: orNull(text),
    }),
  ),
});
const actor = object({
  id: text,
  type: oneOf("human", "service", "agent"),
  display_name: orNull(text),
  on_behalf_of: orNull(text),
});
const approval = object({
  approver: text,
  role: orNull(text),
  meaning: orNull(text),
  approved_at: orNull(timestamp),
  reference: orNull(text),
});
const link = object({
  relation: oneOf("retries", "continues", "rolls_back", "child_of"),
  execution_id: identifier,
  chain_head: orNull(digest),
});
const series = object({ id: identifier, sequence: count, previous: orNull(digest) }, (value, pointer) => {
  if ((value.get("previous") === null) !== (value.get("sequence") === 0)) {
    throw new Fault("series", "previous is null exactly when sequence is 0", { pointer });
  }
});
const origin = object({
  host: text,
  software: text,
  clock: orNull(object({ source: orNull(text), synchronized: orNull(boolean) })),
});
const snapshot = object({
  security_state: oneOf(...SECURITY_STATES, "UNKNOWN"),
  boundary_state: oneOf(...BOUNDARY_STATES, "UNKNOWN"),
  context: text,
});
const recovery = object({ torn_bytes: count, torn_sha256: orNull(digest), origin });

const stepMembers = { step_index: count, step_name: someText, phase: oneOf("plan", "cleanup"), error_message: nothing };
const EVENT_MEMBERS = {
  execution_started: {
    format: oneOf(FORMAT),
    execution_id: identifier,
    plan,
    live_mode_state: LIVE_MODE_STATE,
    actor: orNull(actor),
    approvals: list(approval),
    reason: text,
    change_ref: orNull(text),
    links: list(link),
    series: orNull(series),
    origin,
    security_snapshot: snapshot,
  },
  step_started: stepMembers,
  step_completed: stepMembers,
  step_failed: { ...stepMembers, error_message: someText },
  side_effect_observed: effectMembers,
  security_observed: { security_snapshot: snapshot },
  execution_finished: {
    status: STATUS,
    completion_reason: text,
    cause: orNull(oneOf("security_escalation", "recovered", "abandoned")),
    recovery: orNull(recovery),
    unknown_effects: boolean,
    security_snapshot: snapshot,
  },
};
const EVENTS = new Map(
  Object.entries(EVENT_MEMBERS).map(([name, members]) => [
    name,
    object({
      type: oneOf(name),
      seq: count,
      timestamp,
      previous_event_hash: orNull(digest),
      details,
      ...members,
    }),
  ]),
);

/** The shape of an event: `type` says which. */
function shapeOfEvent(value, pointer) {
  if (!(value instanceof Map)) {
    throw new Fault("type", "not an object", { pointer });
  }
  const name = value.get("type");
  if (!EVENTS.has(name)) {
    const code = value.has("type") ? "value" : "missing";
    throw new Fault(code, "not one of the seven types of events", { pointer: `${pointer}/type` });
  }
  EVENTS.get(name)(value, pointer);
}

/** §3 Lifecycle: takes the events in order and raises a Fault at the first rule that does not hold. */
class Lifecycle {
  #first = null;
  #last = null;
  #position = -1;
  #open = null;
  #started = new Set();
  #highest = -1;
  #failed = false;
  #finished = false;
  #escalated = false;

  /** Ask the rules of one event, from top to bottom. */
  take(event) {
    this.#position += 1;
    this.#last = event.get("type");
    this.#rule(!this.#finished, "finished", "the execution has finished before");
    if (this.#position === 0) {
      this.#rule(this.#last === "execution_started", "not-started", "the first event is not execution_started");
      this.#first = event.get("security_snapshot");
    } else {
      this.#rule(this.#last !== "execution_started", "started-twice", "the execution starts twice");
    }
    if (event.has("security_snapshot")) {
      this.#escalated ||= isWorse(this.#first, event.get("security_snapshot"));
    }
    const index = event.get("step_index");
    if (this.#last === "step_started") {
      this.#rule(!this.#escalated, "escalated", "a step starts after a security escalation");
      this.#rule(this.#open === null, "step-open", "a step starts while another one is open");
      this.#rule(index > this.#highest, "step-order", "a step starts out of order, or again");
      const cleanup = event.get("phase") === "cleanup";
      this.#rule(cleanup || !this.#failed, "after-failure", "a step of the plan starts after a failure");
      this.#open = event;
      this.#highest = index;
      this.#started.add(index);
    } else if (this.#last === "step_completed" || this.#last === "step_failed") {
      const open = this.#open;
      this.#rule(open !== null, "no-step-open", "a step ends, and none is open");
      const same = ["step_index", "step_name", "phase"].every((name) => open.get(name) === event.get(name));
      this.#rule(same, "other-step", "another step ends than the one that is open");
      this.#open = null;
      this.#failed ||= this.#last === "step_failed";
    } else if (this.#last === "side_effect_observed") {
      this.#rule(index === null || this.#started.has(index), "effect-step", "an effect of a step that has not started");
    } else if (this.#last === "execution_finished") {
      const status = event.get("status");
      this.#rule(status !== "completed" || this.#open === null, "step-open", "completed, and a step is open");
      this.#rule(status !== "completed" || !this.#failed, "step-failed", "completed, and a step has failed");
      this.#rule(status === "incomplete" || !this.#escalated, "escalated", "a security escalation, and not incomplete");
      this.#finished = true;
    }
  }

  /** Ask the rule of the last event, where there is a closing line. */
  end() {
    this.#rule(this.#finished, "not-finished", "the last event is not execution_finished");
  }

  #rule(holds, code, reason) {
    if (!holds) {
      throw new Fault(code, `event ${this.#position}: ${reason}`, {
        seq: this.#position,
        pointer: `/events/${this.#position}`,
      });
    }
  }
}

/** Whether a snapshot has escalated beyond the one of event 0. */
function isWorse(first, now) {
  const worse = (order, name) => {
    const [before, after] = [first.get(name), now.get(name)];
    if (before === "UNKNOWN") {
      return after !== "UNKNOWN" && after !== order[0];
    }
    return after === "UNKNOWN" || order.indexOf(after) > order.indexOf(before);
  };
  return worse(SECURITY_STATES, "security_state") || worse(BOUNDARY_STATES, "boundary_state");
}

// ---- §4 Chain -------------------------------------------------------------------------------------------------------

/** Takes the events in order, with their hashes, and keeps the first fault. */
class Chain {
  /** The hash of the last event taken: in the end, the chain head. */
  head = null;
  #fault = null;
  /** Whether the next link, which clears the event of a broken one or does not, is still awaited. */
  #awaited = false;

  /** @param {Map} event @param {number} n - its position in the file @param {string} hash */
  take(event, n, hash) {
    const previous = event.get("previous_event_hash");
    this.#resolve(previous);
    if (this.#fault === null && previous !== this.head) {
      const reason =
        n === 0 ? "event 0 has a previous event" : `the link from event ${n - 1} to event ${n} does not hold`;
      this.#fault = new Fault("link", reason, { seq: n, pointer: `/events/${n}/previous_event_hash` });
      this.#awaited = true;
    } else if (this.#fault === null && event.get("seq") !== n) {
      this.#fault = new Fault("seq", `event ${n} has another seq`, { seq: n, pointer: `/events/${n}/seq` });
    }
    this.head = hash;
  }

  /** Raise the fault, if there is one. `sealed` is the head that was sealed, or null. */
  end(sealed) {
    this.#resolve(sealed);
    if (this.#fault !== null) {
      throw this.#fault;
    }
  }

  /** Say whether what names the last event's hash next clears the event of the broken link. */
  #resolve(named) {
    if (this.#awaited) {
      const { seq, pointer } = this.#fault;
      const cleared =
        named === this.head
          ? `; the next link clears event ${seq}: an earlier one was altered or removed`
          : "; neither is cleared by the next link";
      this.#fault = new Fault("link", this.#fault.message + cleared, { seq, pointer });
      this.#awaited = false;
    }
  }
}

// ---- §5 Seal --------------------------------------------------------------------------------------------------------

const statementShape = object(
  {
    _type: oneOf("https://in-toto.io/Statement/v1"),
    predicate: object({
      chain: object({ head: digest, length: positive }),
      execution_id: identifier,
      format: oneOf(FORMAT),
      live_mode_state: LIVE_MODE_STATE,
      series: orNull(series),
      status: STATUS,
      plan_id: identifier,
      sealed_at: timestamp,
      signers: list(object({ algorithm: identifier, keyid: digest }), {
        least: 1,
        most: MAX_SIGNERS,
        distinct: ["duplicate-signer", (signer) => signer.get("keyid")],
      }),
    }),
    predicateType: oneOf("urn:hearth-records:execution-seal:1"),
    subject: list(object({ digest: object({ sha256: digest }), name: identifier }), { least: 1, most: 1 }),
  },
  (statement, pointer) => {
    if (Buffer.byteLength(canonical(statement)) > MAX_STATEMENT) {
      throw new Fault("statement-too-large", `more than ${MAX_STATEMENT} bytes`, { pointer });
    }
  },
);
const evidence = list(object({ data: base64, type: someText }), { distinct: ["duplicate-evidence", canonical] });
const closingShape = object({
  disclosures: list(base64urlCharacters),
  seal: object({
    evidence,
    signatures: list(object({ evidence, keyid: digest, sig: base64 }), { most: MAX_SIGNERS + MAX_COUNTERSIGNATURES }),
    statement: statementShape,
  }),
});

/** The bytes that every signature is over. */
function preimageOf(statement) {
  const body = Buffer.from(canonical(statement));
  return Buffer.concat([Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${body.length} `), body]);
}

/** Check `head`: what the statement says about the execution is what the events say. `last` is the last event. */
function checkHead(statement, first, last, length, head) {
  const place = (pointer) => ({ pointer: `/seal/statement${pointer}` });
  if (first.get("type") !== "execution_started") {
    throw new Fault("execution_id", "event 0 is not execution_started", place("/predicate/execution_id"));
  }
  if (last.get("type") !== "execution_finished") {
    throw new Fault("status", "the last event is not execution_finished", place("/predicate/status"));
  }
  const predicate = statement.get("predicate");
  const [subject] = statement.get("subject");
  const compared = [
    ["head", "/predicate/chain/head", predicate.get("chain").get("head"), head],
    ["length", "/predicate/chain/length", predicate.get("chain").get("length"), length],
    ["sha256", "/subject/0/digest/sha256", subject.get("digest").get("sha256"), head],
    ["name", "/subject/0/name", subject.get("name"), first.get("execution_id")],
    ["execution_id", "/predicate/execution_id", predicate.get("execution_id"), first.get("execution_id")],
    ["plan_id", "/predicate/plan_id", predicate.get("plan_id"), first.get("plan").get("plan_id")],
    ["live_mode_state", "/predicate/live_mode_state", predicate.get("live_mode_state"), first.get("live_mode_state")],
    ["series", "/predicate/series", canonical(predicate.get("series")), canonical(first.get("series"))],
    ["status", "/predicate/status", predicate.get("status"), last.get("status")],
  ];
  for (const [code, pointer, sealed, recorded] of compared) {
    if (sealed !== recorded) {
      throw new Fault(code, `sealed ${shown(sealed)}, and the events say ${shown(recorded)}`, place(pointer));
    }
  }
}

// ---- §5 Keys --------------------------------------------------------------------------------------------------------

const ED25519 = "ed25519";
/** The algorithms of §5: how the DER of their public keys begins, how many bytes of key follow. */
const SPKI = [
  [ED25519, Buffer.from("302a300506032b6570032100", "hex"), 32],
  ["ml-dsa-44", Buffer.from("30820532300b06096086480165030403110382052100", "hex"), 1312],
];
/** What this program can verify. */
const SUPPORTED = new Set([ED25519]);
const EXAMPLE_KEY = "074ac3e846fe74224d47915c1160709fc27b5ffef5cb54a3280ce1f8e8f6db62";

/** The field of edwards25519, its curve's constant, the order of its group (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n;
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

const mod = (value) => ((value % P) + P) % P;
function power(base, exponent) {
  let result = 1n;
  for (let square = mod(base), rest = exponent; rest > 0n; rest >>= 1n, square = mod(square * square)) {
    result = rest & 1n ? mod(result * square) : result;
  }
  return result;
}
const inverse = (value) => power(value, P - 2n);
const D = mod(-121665n * inverse(121666n));
const littleEndian = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);

/**
 * Refuse an Ed25519 key that is no point, no canonical encoding, or of small order (§9).
 *
 * A point has x² = (y² − 1) / (d·y² + 1). It has order 1 or 2 when x is 0. Twice a point has x = 2xy / (y² − x²) and
 * y = (y² + x²) / (2 + x² − y²), so one of order 4 has y = 0, and one of order 8 has x² + y² = 0.
 */
function checkEd25519Point(point, pointer) {
  const y = littleEndian(point) & (2n ** 255n - 1n);
  if (y >= P) {
    throw new Fault("key-not-canonical", "the y coordinate is 2^255 - 19 or more", { pointer });
  }
  const ySquare = mod(y * y);
  const xSquare = mod((ySquare - 1n) * inverse(D * ySquare + 1n));
  if (xSquare === 0n || y === 0n || mod(xSquare + ySquare) === 0n) {
    throw new Fault("key-small-order", "a point of order 1, 2, 4 or 8", { pointer });
  }
  if (power(xSquare, (P - 1n) / 2n) !== 1n) {
    throw new Fault("key-off-curve", "no point of the curve", { pointer });
  }
}

/** Take a public key: one encoding for each algorithm, so that a key has one key id. */
function readKey(der, pointer) {
  for (const [algorithm, prefix, length] of SPKI) {
    if (der.length === prefix.length + length && der.subarray(0, prefix.length).equals(prefix)) {
      if (algorithm === ED25519) {
        checkEd25519Point(der.subarray(prefix.length), pointer);
      }
      return { algorithm, der, keyid: sha256(der) };
    }
  }
  throw new Fault("key-unsupported", "no SubjectPublicKeyInfo of Ed25519 or ML-DSA-44", { pointer });
}

/** Verify a signature by an Ed25519 key: 64 bytes, S below the group order, RFC 8032 §5.1.7 without the cofactor. */
function isGoodSignature(key, preimage, signature) {
  if (signature.length !== 64 || littleEndian(signature.subarray(32)) >= GROUP_ORDER) {
    return false;
  }
  return verifySignature(null, preimage, createPublicKey({ key: key.der, format: "der", type: "spki" }), signature);
}

// ---- §6 File, §7 Journal --------------------------------------------------------------------------------------------

/** A record file in its frame: where its events stand, its closing line, the size of its torn tail. */
class RecordFile {
  #bytes;
  #starts = [];
  #ends = [];
  /** The closing line as an object, or null: unsealed. */
  closing = null;
  /** The size in bytes of what stands behind the last line feed of an unsealed file. */
  torn = 0;

  /**
   * Read the frame and the canonical bytes of a whole file: check `canonical`.
   * @param {Buffer} bytes
   */
  constructor(bytes) {
    this.#bytes = bytes;
    if (bytes.length === 0) {
      throw new Fault("empty", "the file is empty");
    }
    if (!bytes.subarray(0, OPENING.length).equals(OPENING)) {
      throw new Fault("frame", "the file does not begin with the opening line");
    }
    for (let start = OPENING.length; start < bytes.length; ) {
      const end = bytes.indexOf(LINE_FEED, start);
      if (this.closing !== null) {
        throw new Fault("frame", "something stands behind the closing line");
      }
      if (end < 0) {
        this.#takeTail(start);
        break;
      }
      if (bytes[start] === BRACKET) {
        this.#takeClosing(start, end);
      } else {
        this.#takeEvent(start, end);
      }
      start = end + 1;
    }
  }

  /** The number of events. */
  get length() {
    return this.#starts.length;
  }

  /** The canonical bytes of event n. */
  bytesOf(n) {
    return this.#bytes.subarray(this.#starts[n], this.#ends[n]);
  }

  /** Event n. */
  event(n) {
    return new Reader(this.bytesOf(n)).read(1);
  }

  #takeEvent(start, end) {
    const seq = this.length;
    const place = { seq, pointer: `/events/${seq}` };
    if ((this.#bytes[start] === COMMA) !== seq > 0) {
      throw new Fault("frame", "a comma stands before every event but the first one", place);
    }
    const from = seq > 0 ? start + 1 : start;
    checkSize(end - from, maxEvent(seq), place);
    const fault = faultOf(() => readCanonical(this.#bytes.subarray(from, end), 1));
    if (fault !== null) {
      throw new Fault(fault.code, `event ${seq}: ${fault.message}`, place);
    }
    this.#starts.push(from);
    this.#ends.push(end);
  }

  #takeClosing(start, end) {
    checkSize(end - start, MAX_CLOSING);
    const closing = readClosing(this.#bytes.subarray(start, end));
    if (this.length === 0) {
      throw new Fault("frame", "there is no event");
    }
    this.closing = closing;
  }

  /** What stands behind the last line feed: torn, or a closing line that lacks only its line feed (§7). */
  #takeTail(start) {
    const tail = this.#bytes.subarray(start);
    if (tail[0] === BRACKET) {
      checkSize(tail.length, MAX_CLOSING);
      if (faultOf(() => closingShape(readClosing(tail), "")) === null) {
        throw new Fault("frame", "the closing line has no line feed");
      }
    } else {
      checkSize(tail.length - (tail[0] === COMMA ? 1 : 0), maxEvent(this.length));
    }
    this.torn = tail.length;
  }
}

const maxEvent = (n) => (n === 0 ? MAX_FIRST_EVENT : MAX_EVENT);

function checkSize(size, most, place) {
  if (size > most) {
    throw new Fault("too-large", `${size} bytes, and ${most} are allowed`, place);
  }
}

/** Read a closing line: it is canonical when it is with `{` in the place of `],`. Its object is level 0. */
function readClosing(line) {
  if (line[1] !== COMMA) {
    throw new Fault("frame", "the closing line does not begin with ],");
  }
  const closing = readCanonical(Buffer.concat([Buffer.from("{"), line.subarray(2)]), 0);
  if ([...closing.keys()].join() !== "disclosures,seal") {
    throw new Fault("frame", "the members of the closing line are disclosures and seal");
  }
  return closing;
}

/** The number of a format version other than 1 (§8, the version first), or null. */
function otherVersion(format) {
  const [, version = "1"] = !isText(format) ? [] : /^hearth-record\/(0|[1-9][0-9]*)$/.exec(format) ?? [];
  return version === "1" ? null : version;
}

/** The same, of a file that begins as every version does. */
function otherVersionAtStart(bytes) {
  const prefix = '{"format":"';
  if (bytes.toString("latin1", 0, prefix.length) !== prefix) {
    return null;
  }
  const end = bytes.indexOf(QUOTE, prefix.length);
  return end < 0 ? null : otherVersion(bytes.toString("latin1", prefix.length, end));
}

/** The file as one JSON object within the profile, or null. An event is level 1, so the document is level −1. */
function wholeDocument(bytes) {
  let document = null;
  faultOf(() => {
    document = new Reader(bytes).read(-1);
  });
  return document instanceof Map ? document : null;
}

/** Whether a document is a record that somebody re-formatted (§6). */
function isReformatted(document) {
  const names = [...document.keys()].sort().join();
  const events = document.get("events");
  return (
    (names === "events,format" || names === "disclosures,events,format,seal") &&
    document.get("format") === FORMAT &&
    Array.isArray(events) &&
    events.length > 0
  );
}

/** Write a document to the frame (§6). */
function framed(document) {
  const lines = document.get("events").map((event, n) => `${n ? "," : ""}${canonical(event)}\n`);
  const closing = new Map([...document].filter(([name]) => name === "disclosures" || name === "seal"));
  const last = closing.size > 0 ? `],${canonical(closing).slice(1)}\n` : "";
  return Buffer.concat([OPENING, ...lines.map((line) => Buffer.from(line)), Buffer.from(last)]);
}

/** A file without what is no more than near the frame: CRLF line ends, white space around, a missing last line feed. */
function tidied(bytes) {
  const lines = [];
  for (let start = 0, end = 0; end >= 0; start = end + 1) {
    end = bytes.indexOf("\r\n", start);
    lines.push(bytes.subarray(start, end < 0 ? bytes.length : end));
  }
  const joined = Buffer.concat(lines);
  let [start, end] = [0, joined.length];
  while (WHITE_SPACE.has(joined[start])) {
    start += 1;
  }
  while (WHITE_SPACE.has(joined[end - 1])) {
    end -= 1;
  }
  return Buffer.concat([joined.subarray(start, end), Buffer.from("\n")]);
}

// ---- §6 Disclosures -------------------------------------------------------------------------------------------------

/** Read one disclosure: base64url of the canonical bytes of [salt, name, value]. */
function readDisclosure(disclosure, pointer) {
  const bytes = decoded(disclosure, "base64url");
  if (bytes === null) {
    throw new Fault("disclosure-base64url", "not base64url", { pointer });
  }
  let parts = null;
  const fault = faultOf(() => {
    parts = readCanonical(bytes, 1);
  });
  if (fault !== null) {
    throw new Fault("disclosure-canonical", fault.message, { pointer });
  }
  if (!Array.isArray(parts) || parts.length !== 3) {
    throw new Fault("disclosure-parts", "not an array of salt, name and value", { pointer });
  }
  const [salt, name, value] = parts;
  if (!isText(salt) || salt.length !== 22 || decoded(salt, "base64url") === null) {
    throw new Fault("disclosure-salt", "the salt is not 16 bytes in base64url", { pointer });
  }
  if (!isText(name) || !isMemberName(name) || RESERVED.has(name)) {
    throw new Fault("disclosure-name", "the name cannot be disclosed", { pointer });
  }
  if (hasName(value, RESERVED)) {
    throw new Fault("disclosure-value", "_sd or ... stands in the value", { pointer });
  }
  return { name, value };
}

/**
 * Check `disclosures`: what is disclosed belongs to the events.
 * @param {RecordFile} file
 * @param {Map<string, number>} positions - which event's `_sd` has a digest
 * @returns {Map<number, string[]>} the names that are disclosed, by event
 */
function checkDisclosures(file, positions) {
  const disclosures = file.closing.get("disclosures");
  const byEvent = new Map();
  const names = new Map();
  for (const [index, disclosure] of disclosures.entries()) {
    const pointer = `/disclosures/${index}`;
    if (index > 0 && disclosures[index - 1] >= disclosure) {
      throw new Fault("disclosure-order", "disclosures do not ascend", { pointer });
    }
    const { name, value } = readDisclosure(disclosure, pointer);
    const position = positions.get(createHash("sha256").update(disclosure).digest("base64url"));
    if (position === undefined) {
      throw new Fault("disclosure-unreferenced", "no event has the digest of this disclosure", { pointer });
    }
    if (!byEvent.has(position)) {
      const event = file.event(position);
      event.get("details").delete("_sd");
      byEvent.set(position, event);
    }
    const members = byEvent.get(position).get("details");
    if (members.has(name)) {
      throw new Fault("disclosure-name-taken", `event ${position} has a member of this name`, { pointer });
    }
    members.set(name, value);
    names.set(position, [...(names.get(position) ?? []), name]);
  }
  for (const [seq, event] of byEvent) {
    if (levelsOf(event) > MAX_LEVELS || Buffer.byteLength(canonical(event)) > maxEvent(seq)) {
      const place = { seq, pointer: `/events/${seq}/details` };
      throw new Fault("disclosure-limit", `with what is disclosed, event ${seq} is over its limits`, place);
    }
  }
  return names;
}

/** What is disclosed and what is not, of each event with digests, as the report of §11 has it. */
function tellDisclosures(counts, names) {
  return [...counts].map(([seq, digests]) => {
    const disclosed = [...(names.get(seq) ?? [])].sort();
    return new Map(Object.entries({ seq, disclosed, undisclosed: digests - disclosed.length }));
  });
}

// ---- §8 Signatures --------------------------------------------------------------------------------------------------

/** Whether signatures are complete and in order (§6); asked also without a policy. */
function checkSignatureOrder(signers, signatures) {
  const place = (index) => ({ pointer: `/seal/signatures/${index}` });
  for (const keyid of signers) {
    if (!signatures.includes(keyid)) {
      throw new Fault("signature-missing", `the signature of ${keyid} is missing`, { pointer: "/seal/signatures" });
    }
  }
  for (const [index, keyid] of signatures.entries()) {
    const isInPlace =
      index < signers.length
        ? keyid === signers[index]
        : !signers.includes(keyid) && (index === signers.length || signatures[index - 1] < keyid);
    if (!isInPlace) {
      throw new Fault("signature-order", "out of place, or there again", place(index));
    }
  }
  if (signatures.length > signers.length + MAX_COUNTERSIGNATURES) {
    throw new Fault("countersignatures", "too many", place(signers.length + MAX_COUNTERSIGNATURES));
  }
}

/** What becomes of each signature, in the order of the file, as the report has it (§8, §11). */
function judgeSignatures(seal, policy) {
  const statement = seal.get("statement");
  const preimage = preimageOf(statement);
  const named = new Map(
    statement.get("predicate").get("signers").map((signer) => [signer.get("keyid"), signer.get("algorithm")]),
  );
  const seen = new Set();
  const hasEvidence = seal.get("signatures").some((signature) => signature.get("evidence").length > 0);
  const authorities = hasEvidence && policy?.authorities.length > 0 ? authoritiesOf(policy.authorities) : null;
  return seal.get("signatures").map((signature) => {
    const keyid = signature.get("keyid");
    const key = policy?.keys.get(keyid);
    const isSigner = named.has(keyid);
    const algorithm = isSigner ? named.get(keyid) : (key?.algorithm ?? null);
    let status = "not_run";
    if (key && !seen.has(keyid) && algorithm === key.algorithm && SUPPORTED.has(algorithm)) {
      status = isGoodSignature(key, preimage, decoded(signature.get("sig"), "base64")) ? "good" : "bad";
    }
    seen.add(keyid);
    const bytes = decoded(signature.get("sig"), "base64");
    const evidence = signature.get("evidence").map((piece) => judgeEvidence(piece, bytes, authorities));
    return { algorithm, keyid, name: key?.name ?? null, role: isSigner ? "seal" : "countersign", status, evidence };
  });
}

// ---- §6 Timestamps (RFC 3161) ---------------------------------------------------------------------------------------

const OID = (hex) => Buffer.from(hex, "hex").toString("latin1");
const OID_SIGNED_DATA = OID("2a864886f70d010702");
const OID_TST_INFO = OID("2a864886f70d0109100104");
const OID_CONTENT_TYPE = OID("2a864886f70d010903");
const OID_MESSAGE_DIGEST = OID("2a864886f70d010904");
const OID_TIME_STAMPING = OID("2b06010505070308");
/** The signed attributes that bind the signer's certificate, with the hash that each of them means by itself. */
const BINDINGS = new Map([
  [OID("2a864886f70d010910020c"), "sha1"],
  [OID("2a864886f70d010910022f"), "sha256"],
]);
const HASHES = new Map([
  [OID("608648016503040201"), "sha256"],
  [OID("608648016503040202"), "sha384"],
  [OID("608648016503040203"), "sha512"],
]);
/** ecdsa-with-SHA256, 384, 512; rsaEncryption; sha256, 384, 512 with it. */
const SIGNATURE_ALGORITHMS = new Set(
  ["2a8648ce3d040302", "2a8648ce3d040303", "2a8648ce3d040304"]
    .concat(["2a864886f70d010101", "2a864886f70d01010b", "2a864886f70d01010c", "2a864886f70d01010d"])
    .map(OID),
);
const OID_RSA = OID("2a864886f70d010101");
const OID_EC = OID("2a8648ce3d0201");
const MIN_RSA = 2048; // bits
/** P-256, P-384, P-521. */
const CURVES = new Set(["2a8648ce3d030107", "2b81040022", "2b81040023"].map(OID));
/** Key usage, alternative names, basic constraints, policies, extended key usage. */
const MAY_BE_CRITICAL = new Set(["551d0f", "551d11", "551d13", "551d20", "551d25"]);
/** On names; RFC 3779: on IP addresses, on AS numbers. OpenSSL heeds them though they are not critical. */
const CONSTRAINTS = new Set(["551d1e", "2b06010505070107", "2b06010505070108"]);
const [BOOLEAN, INTEGER, BITS, OCTETS, OBJECT, GENERALIZED_TIME] = [0x01, 0x02, 0x03, 0x04, 0x06, 0x18];
const [NULL, SEQUENCE, SET, CONTEXT, MILLIS, MICROS, DIRECTORY_NAME] = [0x05, 0x30, 0x31, 0xa0, 0x80, 0x81, 0xa4];
/** The only BOOLEAN: DER leaves out what is the default, and all of them here are false by default. */
const TRUE = Buffer.of(0xff);
/** What an object identifier and a number may consist of in DER, in Latin-1. */
const FORMS = new Map([
  [OBJECT, /^(?=[^]{1,63}$)(?:[\x00-\x7f]|[\x81-\xff][\x80-\xff]*[\x00-\x7f])+$/],
  [INTEGER, /^(?:[^]|\x00[\x80-\xff][^]*|\xff[\x00-\x7f][^]*|[\x01-\xfe][^]+)$/],
]);

/** An element of DER. Whatever is not as it should be is `timestamp-malformed`. */
class Der {
  constructor(tag, content, whole) {
    Object.assign(this, { tag, content, whole });
  }

  static fault() {
    return new Fault("timestamp-malformed", "not a response with a timestamp, in DER and as RFC 3161 has it");
  }

  /** The elements that stand one behind the other. */
  static all(bytes) {
    const found = [];
    for (let start = 0; start < bytes.length; ) {
      let at = start + 2;
      let length = bytes[start + 1];
      if (length > 0x80 && length <= 0x84 && at + length - 0x80 <= bytes.length) {
        const size = length - 0x80;
        length = bytes.readUIntBE(at, size);
        at += size;
        if (length < 0x80 || length < 2 ** (8 * (size - 1))) {
          throw Der.fault();
        }
      }
      if (!(length < 0x80 || at > start + 2) || (bytes[start] & 0x1f) === 0x1f || at + length > bytes.length) {
        throw Der.fault();
      }
      const content = bytes.subarray(at, at + length);
      if (FORMS.get(bytes[start])?.test(content.toString("latin1")) === false) {
        throw Der.fault();
      }
      found.push(new Der(bytes[start], content, bytes.subarray(start, at + length)));
      start = at + length;
    }
    return found;
  }

  /** The only element. */
  static one(bytes) {
    const [element, ...more] = Der.all(bytes);
    if (element === undefined || more.length > 0) {
      throw Der.fault();
    }
    return element;
  }

  /** The content, of an element that has to have this tag. */
  as(tag) {
    if (this.tag !== tag) {
      throw Der.fault();
    }
    return this.content;
  }

  /** The elements inside; there have to be `least`. */
  parts(tag = SEQUENCE, least = 0) {
    const found = Der.all(this.as(tag));
    if (found.length < least) {
      throw Der.fault();
    }
    return found;
  }

  /** The number of an INTEGER, of whatever tag, that is not negative. */
  get natural() {
    const text = this.content.toString("latin1");
    if (!FORMS.get(INTEGER).test(text) || this.content[0] > 0x7f) {
      throw Der.fault();
    }
    return BigInt(`0x${this.content.toString("hex")}`);
  }

  /** An object identifier, as the constants above have them. */
  get oid() {
    return this.as(OBJECT).toString("latin1");
  }

  /** The hash that an AlgorithmIdentifier names. */
  get hash() {
    const name = HASHES.get(this.parts(SEQUENCE, 1)[0].oid);
    if (name === undefined) {
      throw Der.fault();
    }
    return name;
  }
}

/** What there is of each tag, in this order, undefined for what is missing; there may be nothing else. */
function inOrder(elements, tags) {
  const rest = [...elements];
  const found = tags.map((tag) => (rest[0]?.tag === tag ? rest.shift() : undefined));
  if (rest.length > 0) {
    throw Der.fault();
  }
  return found;
}

/** A certificate: Node's own view of it, and what that does not show. Times are texts `YYYYMMDDhhmmss`. */
class Certificate {
  constructor(der) {
    this.der = der;
    const [version, ...fields] = Der.one(der).parts(SEQUENCE, 1)[0].parts(SEQUENCE, 6);
    if (version.tag !== CONTEXT) {
      fields.unshift(version);
    }
    const [serial, , issuer, validity, subject, key, ...rest] = fields;
    Object.assign(this, { subject, key });
    this.isFirstVersion = version.tag !== CONTEXT;
    this.name = Buffer.concat([issuer.whole, serial.whole]);
    this.isSelfIssued = issuer.whole.equals(subject.whole);
    [this.notBefore, this.notAfter] = validity.parts(SEQUENCE, 2).map((time) => {
      const text = time.content.toString("latin1").slice(0, -1);
      return time.tag === GENERALIZED_TIME ? text : `${text < "50" ? "20" : "19"}${text}`;
    });
    const wrapped = rest.find(({ tag }) => tag === CONTEXT + 3);
    const extensions = wrapped ? Der.one(wrapped.content).parts() : [];
    this.extensions = new Map(
      extensions.map((extension) => {
        const [kind, critical, value] = inOrder(extension.parts(SEQUENCE, 2), [OBJECT, BOOLEAN, OCTETS]);
        const isCritical = critical !== undefined;
        if (kind === undefined || value === undefined || (isCritical && !critical.content.equals(TRUE))) {
          throw Der.fault();
        }
        return [kind.content.toString("hex"), { isCritical, value: value.content }];
      }),
    );
    if (this.extensions.size !== extensions.length || !this.isUnderstood) {
      throw Der.fault();
    }
    this.x509 = new X509Certificate(der);
  }

  /** Whether the key of another certificate, or its own, signed this one. A key that cannot be read signed nothing. */
  isSignedBy(other) {
    try {
      return this.x509.verify(other.x509.publicKey);
    } catch {
      return false;
    }
  }

  isIssuedBy(issuer) {
    return this.x509.checkIssued(issuer.x509) && this.isSignedBy(issuer);
  }

  get isRoot() {
    return this.isSelfIssued && this.isSignedBy(this);
  }

  isValidAt(time) {
    return this.notBefore <= time && time < this.notAfter;
  }

  /** The value of an extension; undefined without it. */
  valueOf(kind) {
    const extension = this.extensions.get(kind);
    return extension && Der.one(extension.value);
  }

  /** The bits of the key usage, the first of them 0x80; null without that extension. */
  get usage() {
    const value = this.valueOf("551d0f");
    return value ? (value.as(BITS)[1] ?? 0) : null;
  }

  get constraints() {
    const [ca, length] = this.valueOf("551d13")?.parts() ?? [];
    const isCa = ca?.tag === BOOLEAN && ca.content[0] !== 0;
    return { isCa, length: isCa && length ? parseInt(length.as(INTEGER).toString("hex"), 16) : Infinity };
  }

  /** Whether nothing critical is said that nobody here looks at, and no constraints. */
  get isUnderstood() {
    const isHeeded = ([kind, { isCritical }]) => !CONSTRAINTS.has(kind) && (!isCritical || MAY_BE_CRITICAL.has(kind));
    return [...this.extensions].every(isHeeded);
  }

  /** Whether its key may sign timestamps: RSA of at least 2048 bits, P-256, P-384 or P-521. */
  get hasStrongKey() {
    const [algorithm, bits] = this.key.parts(SEQUENCE, 2);
    const [kind, parameters] = algorithm.parts(SEQUENCE, 2);
    if (kind.oid === OID_RSA) {
      const [modulus] = Der.one(bits.as(BITS).subarray(1)).parts(SEQUENCE, 1);
      return modulus.natural.toString(2).length >= MIN_RSA;
    }
    return kind.oid === OID_EC && CURVES.has(parameters.oid);
  }

  /** Whether a GeneralName is, byte for byte, its subject or one of its alternative names. */
  hasName(name) {
    const isSubject = name.tag === DIRECTORY_NAME && name.content.equals(this.subject.whole);
    const others = this.valueOf("551d11")?.parts() ?? [];
    return isSubject || others.some(({ whole }) => whole.equals(name.whole));
  }

  /** Whether it may sign timestamps, and nothing else. */
  get isForTimestamps() {
    const isCritical = this.extensions.get("551d25")?.isCritical;
    const purposes = this.valueOf("551d25")?.parts().map(({ oid }) => oid) ?? [];
    const signs = this.usage === null || ((this.usage & 0xc0) !== 0 && (this.usage & ~0xc0) === 0);
    const isAlone = isCritical && purposes.length === 1 && purposes[0] === OID_TIME_STAMPING;
    return isAlone && signs && !this.constraints.isCa;
  }

  /** Whether it may issue others, with so many certificates between it and the one that signs. */
  mayIssue(between) {
    const mayCertify = this.usage === null || (this.usage & 0x04) !== 0;
    const isOld = !this.extensions.has("551d13") && (this.usage !== null || (this.isFirstVersion && this.isRoot));
    const { isCa, length } = this.constraints;
    return mayCertify && (isCa || isOld) && between <= length;
  }
}

/** The certificates of a policy; what is none vouches for nothing. */
function authoritiesOf(pems) {
  const block = /^-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/=]{1,76}\n)+)-----END CERTIFICATE-----\n?$/;
  return pems.flatMap((pem) => {
    try {
      return [new Certificate(decoded(block.exec(pem)[1].replaceAll("\n", ""), "base64"))];
    } catch {
      return [];
    }
  });
}

/** Read a TimeStampResp: what it states, after everything that can be asked without a trusted certificate. */
function readTimestamp(response, signature) {
  const [info, token, ...beyond] = Der.one(response).parts(SEQUENCE, 1);
  const status = info.parts(SEQUENCE, 1)[0].as(INTEGER);
  if (status.length !== 1 || status[0] !== 0) {
    throw new Fault("timestamp-status", "the authority gave no timestamp, or another one");
  }
  if (token === undefined || beyond.length > 0) {
    throw Der.fault();
  }
  const [kind, wrapped] = token.parts(SEQUENCE, 2);
  const signedData = Der.one(wrapped.as(CONTEXT)).parts(SEQUENCE, 4);
  const [contentKind, content] = signedData[2].parts(SEQUENCE, 2);
  const stated = Der.one(content.as(CONTEXT)).as(OCTETS);
  const signer = Der.one(signedData.at(-1).as(SET)).parts(SEQUENCE, 6);
  const [signerVersion, sid, hash, attributes, algorithm, signed] = signer;
  signerVersion.as(INTEGER);
  const [version, policy, imprint, serial, time, ...statedAlso] = Der.one(stated).parts(SEQUENCE, 5);
  policy.as(OBJECT);
  serial.as(INTEGER);
  const isListed = signedData[1].parts(SET).some((one) => one.parts(SEQUENCE, 1)[0].oid === hash.parts()[0].oid);
  const isFirst = version.as(INTEGER).toString("hex") === "01" && signedData[0].as(INTEGER).length === 1;
  if (kind.oid !== OID_SIGNED_DATA || contentKind.oid !== OID_TST_INFO || !isFirst || !isListed) {
    throw Der.fault();
  }
  const values = new Map();
  for (const attribute of attributes.parts(CONTEXT)) {
    const [name, set] = attribute.parts(SEQUENCE, 2);
    if (values.has(name.oid)) {
      throw Der.fault();
    }
    values.set(name.oid, Der.one(set.as(SET)));
  }
  const isTyped = values.get(OID_CONTENT_TYPE)?.oid === OID_TST_INFO;
  if (!isTyped || !values.has(OID_MESSAGE_DIGEST) || !SIGNATURE_ALGORITHMS.has(algorithm.parts(SEQUENCE, 1)[0].oid)) {
    throw Der.fault();
  }
  const certificates = signedData
    .slice(3, -1)
    .filter(({ tag }) => tag === CONTEXT)
    .flatMap((set) => set.parts(CONTEXT).map(({ whole }) => new Certificate(whole)));
  const named = Buffer.concat(sid.parts(SEQUENCE, 2).map(({ whole }) => whole));
  const [certificate, ...others] = certificates.filter(({ name }) => name.equals(named));
  if (certificate === undefined || others.length > 0 || !certificate.hasStrongKey) {
    throw Der.fault();
  }
  checkStatedAlso(statedAlso, certificate);
  checkBinding(values, certificate.der);
  const [imprintHash, hashed] = inOrder(imprint.parts(SEQUENCE, 2), [SEQUENCE, OCTETS]);
  inOrder(imprintHash.parts(), [OBJECT, NULL]);
  if (!createHash(imprintHash.hash).update(signature).digest().equals(hashed.as(OCTETS))) {
    throw new Fault("timestamp-imprint", "the timestamp is over other data");
  }
  const digest = values.get(OID_MESSAGE_DIGEST).as(OCTETS);
  const message = Buffer.concat([Buffer.of(SET), attributes.whole.subarray(1)]);
  const key = certificate.x509.publicKey;
  const holds =
    ["ec", "rsa"].includes(key.asymmetricKeyType) &&
    createHash(hash.hash).update(stated).digest().equals(digest) &&
    verifySignature(hash.hash, message, key, signed.as(OCTETS));
  if (!holds) {
    throw new Fault("timestamp-signature", "the timestamp's own signature does not hold");
  }
  return { certificate, certificates, time: readGeneralizedTime(time) };
}

/** What else a TSTInfo may state (RFC 3161 §2.4.2). No extension is known here, so none may be critical. */
function checkStatedAlso(members, certificate) {
  const tags = [SEQUENCE, BOOLEAN, INTEGER, CONTEXT, CONTEXT + 1];
  const [accuracy, ordering, nonce, tsa, extensions] = inOrder(members, tags);
  const [seconds, ...thousandths] = inOrder(accuracy?.parts() ?? [], [INTEGER, MILLIS, MICROS]);
  const isExact = [seconds, nonce].every((part) => part === undefined || part.natural >= 0);
  const isInRange = thousandths.every((part) => part === undefined || (part.natural >= 1 && part.natural <= 999));
  const isOrdered = ordering === undefined || ordering.content.equals(TRUE);
  const isNamed = tsa === undefined || certificate.hasName(Der.one(tsa.content));
  const kinds = extensions?.parts(CONTEXT + 1).map((one) => one.parts().map(({ tag }) => tag)) ?? [];
  const isPlain = kinds.every(([kind, value, ...more]) => kind === OBJECT && value === OCTETS && more.length === 0);
  if (!(isExact && isInRange && isOrdered && isNamed && isPlain)) {
    throw Der.fault();
  }
}

/** Require that the signed attributes name the certificate by its hash (RFC 2634, RFC 5035). */
function checkBinding(values, der) {
  const found = [...BINDINGS].filter(([kind]) => values.has(kind));
  const holds = found.every(([kind, ownHash]) => {
    const [first, ...rest] = values.get(kind).parts(SEQUENCE, 1)[0].parts(SEQUENCE, 1)[0].parts(SEQUENCE, 1);
    const [hash, digest] = first.tag === SEQUENCE ? [first.hash, rest[0]] : [ownHash, first];
    return digest !== undefined && createHash(hash).update(der).digest().equals(digest.as(OCTETS));
  });
  if (found.length === 0 || !holds) {
    throw Der.fault();
  }
}

/** A timestamp for a GeneralizedTime in DER, cut to microseconds. */
function readGeneralizedTime(time) {
  const text = time.as(GENERALIZED_TIME).toString("latin1");
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/.exec(text);
  if (parts === null) {
    throw Der.fault();
  }
  const [, year, month, day, hour, minute, second, fraction = ""] = parts;
  const found = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 6).padEnd(6, "0")}Z`;
  if (!isTimestamp(found)) {
    throw Der.fault();
  }
  return found;
}

/** Find a trusted root that a certificate leads to, every link valid at the time; each link is tried once a root. */
function findRoot({ certificate, certificates, time }, authorities) {
  const then = time.slice(0, 19).replace(/[-T:]/g, "");
  const pool = [...certificates, ...authorities.filter(({ isRoot }) => !isRoot)];
  if (!certificate.isForTimestamps || !certificate.isValidAt(then)) {
    return null;
  }
  for (const root of authorities.filter(({ isRoot }) => isRoot)) {
    if (root.der.equals(certificate.der)) {
      return root;
    }
    const links = new Set([root, ...pool]);
    for (let level = [[certificate, 0]]; level.length > 0; ) {
      const next = [];
      for (const [link, between] of level) {
        for (const issuer of links) {
          if (issuer.isValidAt(then) && issuer.mayIssue(between) && link.isIssuedBy(issuer)) {
            if (issuer === root) {
              return root;
            }
            links.delete(issuer);
            next.push([issuer, between + (issuer.isSelfIssued ? 0 : 1)]);
          }
        }
      }
      level = next;
    }
  }
  return null;
}

/** Judge one piece of evidence on a signature. */
function judgeEvidence(piece, signature, authorities) {
  const finding = { type: piece.get("type"), status: "not_run", time: null, authority: null, code: null, reason: null };
  if (finding.type !== "rfc3161" || authorities === null) {
    return finding;
  }
  try {
    const found = readTimestamp(decoded(piece.get("data"), "base64"), signature);
    const root = findRoot(found, authorities);
    if (root === null) {
      throw new Fault("timestamp-authority", "no authority that is trusted vouches for the timestamp");
    }
    return { ...finding, status: "good", time: found.time, authority: sha256(root.der) };
  } catch (fault) {
    // What Node's own functions raise about the bytes of others is no fault of this program: they do not hold.
    const { code, message } = fault instanceof Fault ? fault : Der.fault();
    return { ...finding, status: "bad", code, reason: message };
  }
}

/** By when a signature existed: the earliest time of its good evidence, or null. */
const timeOf = ({ evidence }) => evidence.map(({ time }) => time).filter(Boolean).sort()[0] ?? null;

// ---- §9 Trust policy ------------------------------------------------------------------------------------------------

const ROLES = ["seal", "countersign", "checkpoint", "witness"];
const policyShape = object({
  format: oneOf("hearth-trust/1"),
  version: positive,
  expires: orNull(timestamp),
  require_timestamp: boolean,
  timestamp_authorities: list(text),
  require: list(
    object({ role: oneOf(...ROLES), algorithm: orNull(identifier), count: positive }, (value, pointer) => {
      if (!["seal", "countersign"].includes(value.get("role"))) {
        throw new Fault("requirement-role", "no record has such a signature", { pointer: `${pointer}/role` });
      }
    }),
    { least: 1 },
  ),
  keys: list(
    object({
      keyid: digest,
      name: text,
      algorithm: identifier,
      public_key: text,
      roles: list(oneOf(...ROLES)),
      not_before: orNull(timestamp),
      not_after: orNull(timestamp),
      revoked: orNull(object({ at: timestamp, reason: oneOf("compromised", "superseded", "retired") })),
    }),
  ),
});

/**
 * @typedef {object} Policy
 * @property {string|null} expires
 * @property {boolean} requireTimestamp
 * @property {string[]} authorities - certificates in PEM
 * @property {{role: string, algorithm: string|null, count: number}[]} require
 * @property {Map<string, object>} keys - by key id
 */

/** Put a key among the others. */
function admit(keys, entry, pointer, allowExampleKeys) {
  if (keys.has(entry.keyid)) {
    throw new Fault("duplicate-key", "a key stands twice", { pointer });
  }
  if (entry.keyid === EXAMPLE_KEY && !allowExampleKeys) {
    throw new Fault("example-key", "the private half of this key is published; --allow-example-keys admits it", {
      pointer,
    });
  }
  keys.set(entry.keyid, entry);
}

/**
 * Read a trust policy.
 * @param {Buffer} bytes
 * @param {number} minVersion - the least `version` that is accepted
 * @param {boolean} allowExampleKeys
 * @returns {Policy}
 */
function readPolicy(bytes, minVersion, allowExampleKeys) {
  const policy = new Reader(bytes).read(1);
  policyShape(policy, "");
  if (policy.get("version") < minVersion) {
    throw new Fault("policy-version", `older than version ${minVersion}, which was asked for`, { pointer: "/version" });
  }
  const keys = new Map();
  for (const [index, entry] of policy.get("keys").entries()) {
    const pointer = `/keys/${index}`;
    const der = decoded(entry.get("public_key"), "base64");
    if (der === null) {
      throw new Fault("key-not-base64", "not base64", { pointer: `${pointer}/public_key` });
    }
    const key = readKey(der, `${pointer}/public_key`);
    for (const name of ["keyid", "algorithm"]) {
      if (entry.get(name) !== key[name]) {
        throw new Fault(name, `not the key's own, ${key[name]}`, { pointer: `${pointer}/${name}` });
      }
    }
    admit(keys, { ...Object.fromEntries(entry), ...key }, pointer, allowExampleKeys);
  }
  return {
    expires: policy.get("expires"),
    requireTimestamp: policy.get("require_timestamp"),
    authorities: policy.get("timestamp_authorities"),
    require: policy.get("require").map((requirement) => Object.fromEntries(requirement)),
    keys,
  };
}

/** What stands before the 32 bytes of a key in OpenSSH's form (RFC 8709 §4): two texts with their lengths. */
const OPENSSH = Buffer.from("\0\0\0\x0bssh-ed25519\0\0\0\x20", "latin1");

/** Read a public key file: one PEM block, or one line of OpenSSH's, and nothing around it but white space. */
function readKeyFile(bytes) {
  const lines = bytes.toString("latin1").replace(/^[\t-\r ]+|[\t-\r ]+$/g, "").split(/\r\n|\r|\n/);
  if (lines.length === 1 && lines[0].startsWith("ssh-")) {
    const [word, base64Text] = lines[0].split(" ");
    if (word !== "ssh-ed25519") {
      throw new Fault("key-unsupported", "an OpenSSH key that is not ssh-ed25519");
    }
    const key = decoded(base64Text ?? "", "base64");
    if (key?.length !== OPENSSH.length + 32 || !key.subarray(0, OPENSSH.length).equals(OPENSSH)) {
      throw new Fault("key-not-openssh", "not an ssh-ed25519 key: one blank, base64 of its 51 bytes");
    }
    return readKey(Buffer.concat([SPKI[0][1], key.subarray(OPENSSH.length)]), null);
  }
  const isPem = lines[0] === "-----BEGIN PUBLIC KEY-----" && lines.at(-1) === "-----END PUBLIC KEY-----";
  const der = isPem ? decoded(lines.slice(1, -1).join(""), "base64") : null;
  if (der === null) {
    throw new Fault("key-not-pem", "neither one PEM block PUBLIC KEY nor one line ssh-ed25519");
  }
  return readKey(der, null);
}

/**
 * Make the policy of the short form, `--key FILE`.
 * @param {string[]} files - their names, by which the report calls the keys
 * @param {boolean} allowExampleKeys
 * @returns {Policy}
 */
function policyOfKeys(files, allowExampleKeys) {
  const keys = new Map();
  for (const name of files) {
    const fault = faultOf(() => {
      const own = { name, roles: ["seal"], not_before: null, not_after: null, revoked: null };
      admit(keys, { ...readKeyFile(readFile(name, MAX_POLICY)), ...own }, null, allowExampleKeys);
    });
    if (fault !== null) {
      throw new Fault(fault.code, `${escaped(spelledOut(name))}: ${fault.message}`);
    }
  }
  const require = [{ role: "seal", algorithm: null, count: 1 }];
  return { expires: null, requireTimestamp: false, authorities: [], require, keys };
}

/** Whether a key was in its window at a time. */
const isInWindow = (key, time) =>
  (key.not_before === null || time >= key.not_before) && (key.not_after === null || time < key.not_after);

/** Whether a key had ended: a compromised one by the time that evidence shows, another one by the sealer's word. */
function isRevoked({ revoked }, sealedAt, time) {
  const when = revoked?.get("reason") === "compromised" ? time : sealedAt;
  return revoked !== null && (when === null || when >= revoked.get("at"));
}

/** Whether a good countersignature counts; where its time is not known, the key must have neither window nor end. */
function counts(key, time) {
  const isFree = key.not_before === null && key.not_after === null && key.revoked === null;
  const isInTime = time !== null && isInWindow(key, time) && (key.revoked === null || time < key.revoked.get("at"));
  return key.roles.includes("countersign") && (isFree || isInTime);
}

/** Check `trust`: each reason is asked of all signers before the next one. */
function checkTrust(policy, statement, signatures, now) {
  if (policy.expires !== null && (now === null || now >= policy.expires)) {
    throw new Fault("policy-expired", `the policy expired at ${policy.expires}`);
  }
  const predicate = statement.get("predicate");
  const time = predicate.get("sealed_at");
  const signers = predicate.get("signers").map((signer, index) => ({
    algorithm: signer.get("algorithm"),
    key: policy.keys.get(signer.get("keyid")),
    evidenced: timeOf(signatures.find(({ keyid }) => keyid === signer.get("keyid")) ?? { evidence: [] }),
    pointer: `/seal/statement/predicate/signers/${index}`,
  }));
  const reasons = [
    ["unknown-signer", "the policy does not know this key", ({ key }) => key === undefined],
    [
      "algorithm-mismatch",
      "the policy knows this key under another algorithm",
      ({ key, algorithm }) => key.algorithm !== algorithm,
    ],
    ["unsupported-algorithm", "this program cannot verify it", ({ algorithm }) => !SUPPORTED.has(algorithm)],
    ["role", "this key may not seal", ({ key }) => !key.roles.includes("seal")],
    ["outside-window", "sealed outside the window of this key", ({ key }) => !isInWindow(key, time)],
    ["revoked", "this key is revoked", ({ key, evidenced }) => isRevoked(key, time, evidenced)],
  ];
  for (const [code, reason, applies] of reasons) {
    for (const signer of signers) {
      if (applies(signer)) {
        throw new Fault(code, reason, { pointer: signer.pointer });
      }
    }
  }
  const good = signatures.filter(({ status }) => status === "good");
  for (const { role, algorithm, count: needed } of policy.require) {
    const counted = good.filter(
      (signature) =>
        signature.role === role &&
        (algorithm === null || signature.algorithm === algorithm) &&
        (role === "seal" || counts(policy.keys.get(signature.keyid), timeOf(signature))),
    );
    if (counted.length < needed) {
      throw new Fault("requirement", `${role}: ${counted.length} of ${needed} that the policy requires`);
    }
  }
}

// ---- §8 Verification ------------------------------------------------------------------------------------------------

/** The outcome of one file: the checks as they end, warnings as they are found. */
class Result {
  /** @param {string} file - its name as it was given */
  constructor(file) {
    this.file = file;
    this.sha256 = null;
    this.reformatted = false;
    this.execution_id = null;
    this.chain_head = null;
    this.events = null;
    this.sealed_at = null;
    this.signers = [];
    this.disclosures = [];
    this.evidence = [];
    this.checks = new Map(CHECKS.map(([check]) => [check, { status: "not_run", fault: null }]));
    this.warnings = new Map();
    this.asked = new Set(CHECKS.map(([check]) => check).filter((check) => check !== "timestamp"));
    this.broken = false;
  }

  /** End a check: with the fault that it raises, else as passed. Returns whether it passed. */
  check(name, action) {
    const fault = faultOf(action);
    this.checks.set(name, { status: fault === null ? "pass" : "fail", fault });
    return fault === null;
  }

  /** Warn: each code once, with a count and the first place. */
  warn(code, reason, seq = null, number = 1) {
    const warning = this.warnings.get(code) ?? { code, count: 0, reason, seq };
    warning.count += number;
    this.warnings.set(code, warning);
  }

  get exitCode() {
    if (this.broken) {
      return INTERNAL;
    }
    const failed = CHECKS.find(([check]) => this.checks.get(check).status === "fail");
    if (failed) {
      return failed[1];
    }
    return [...this.asked].some((check) => this.checks.get(check).status === "not_run") ? NOT_TRUSTED : 0;
  }

  /** The result as the report of §11 has it. */
  toMap() {
    const map = (value) => new Map(Object.entries(value));
    return map({
      file: spelledOut(this.file),
      sha256: this.sha256,
      verdict: VERDICTS[this.exitCode],
      exit_code: this.exitCode,
      checks: [...this.checks].map(([check, { status, fault }]) =>
        map({
          check,
          status,
          code: fault?.code ?? null,
          reason: fault?.message ?? null,
          seq: fault?.seq ?? null,
          pointer: fault?.pointer ?? null,
        }),
      ),
      execution_id: this.execution_id,
      chain_head: this.chain_head,
      events: this.events,
      sealed_at: this.sealed_at,
      signers: this.signers.map((signer) =>
        map({ ...signer, name: signer.name && spelledOut(signer.name), evidence: signer.evidence.map(map) }),
      ),
      evidence: this.evidence.map(map),
      reformatted: this.reformatted,
      disclosures: this.disclosures,
      warnings: [...this.warnings.values()].map(map),
    });
  }
}

/** Read the frame (check `canonical`), of a re-formatted file when that is allowed. May find another version. */
function readRecord(bytes, allowReformatted, result) {
  let record = null;
  let version = otherVersionAtStart(bytes);
  if (version === null) {
    result.check("canonical", () => {
      const fault = faultOf(() => {
        record = new RecordFile(bytes);
      });
      if (fault === null) {
        return;
      }
      const document = wholeDocument(bytes);
      version = document === null ? null : otherVersion(document.get("format"));
      if (version !== null || document === null || !isReformatted(document)) {
        throw fault;
      }
      const frame = framed(document);
      if (!allowReformatted) {
        const reason = "re-formatted: the same value in other bytes; --allow-reformatted rewrites it first";
        throw tidied(bytes).equals(frame) ? fault : new Fault("reformatted", reason, fault);
      }
      record = new RecordFile(frame);
      result.reformatted = true;
      result.warn("reformatted", "the input was rewritten to the frame first");
    });
  }
  if (version !== null) {
    result.checks.set("canonical", { status: "not_run", fault: null });
    result.check("shape", () => {
      throw new Fault("unsupported-version", `hearth-record/${version} is another version`, { pointer: "/format" });
    });
    return null;
  }
  return record;
}

/** Collects what warnings say about the events (§8). */
class Findings {
  #result;
  #previous = null;
  #planned = new Set();
  #started = new Set();

  /** @param {Result} result */
  constructor(result) {
    this.#result = result;
  }

  take(event, n) {
    const [kind, time] = [event.get("type"), event.get("timestamp")];
    if (this.#previous !== null && time < this.#previous) {
      this.#result.warn("time-went-back", "a timestamp is earlier than the one before it", n);
    }
    this.#previous = time;
    if (n === 0 && kind === "execution_started") {
      this.#planned = new Set(event.get("plan").get("steps").map((planned) => planned.get("step_index")));
    } else if (kind === "step_started") {
      this.#started.add(event.get("step_index"));
      if (this.#planned.size > 0 && !this.#planned.has(event.get("step_index"))) {
        this.#result.warn("unplanned-step", "a step that the plan does not name", n);
      }
    } else if (kind === "execution_finished") {
      const missed = [...this.#planned].filter((index) => !this.#started.has(index)).length;
      if (missed > 0) {
        this.#result.warn("planned-step-not-run", "a step that the plan names never started", null, missed);
      }
    }
  }
}

/** Warnings about signatures and evidence (§6, §8, §9). */
function warnOfSeal(result, policy) {
  for (const { status, reason } of [...result.evidence, ...result.signers.flatMap(({ evidence }) => evidence)]) {
    if (status === "not_run") {
      result.warn("evidence-not-checked", "evidence of another type, or of which no authority is trusted");
    } else if (status === "bad") {
      result.warn("evidence-invalid", `evidence that does not hold, as if it were absent: ${reason}`);
    }
  }
  const times = result.signers.map(timeOf);
  if (times.some((time) => time !== null && time < result.sealed_at)) {
    result.warn("timestamp-before-seal", "a signature has a timestamp from before sealed_at, which is wrong then");
  }
  for (const signer of policy === null ? [] : result.signers) {
    const { role, status, keyid } = signer;
    const key = policy.keys.get(keyid);
    if (role === "countersign" && key === undefined) {
      result.warn("unknown-countersigner", "the policy does not know a countersigner");
    } else if (role === "countersign" && status === "good" && !counts(key, timeOf(signer))) {
      result.warn("countersigner-not-counted", "a good countersignature that does not count");
    }
  }
}

/**
 * Judge the bytes of one file.
 * @param {Buffer} bytes
 * @param {Policy|null} policy
 * @param {{allowReformatted: boolean, now: string|null, requireTimestamp: boolean}} options
 * @param {Result} result - where `read` has passed
 */
function judge(bytes, policy, { allowReformatted, now, requireTimestamp }, result) {
  if (requireTimestamp || policy?.requireTimestamp) {
    result.asked.add("timestamp");
  }
  const file = readRecord(bytes, allowReformatted, result);
  if (file === null) {
    return;
  }
  if (file.torn > 0) {
    result.warn("torn-tail", `${file.torn} bytes behind the last line feed are ignored`, null, file.torn);
  }
  const [chain, lifecycle, findings] = [new Chain(), new Lifecycle(), new Findings(result)];
  const positions = new Map();
  const counts = new Map();
  let [first, last, lifecycleFault, doubled] = [null, null, null, null];
  const isShaped = result.check("shape", () => {
    for (let n = 0; n < file.length; n += 1) {
      const event = file.event(n);
      const fault = faultOf(() => shapeOfEvent(event, `/events/${n}`));
      if (fault !== null) {
        throw new Fault(fault.code, `event ${n}: ${fault.message}`, { seq: n, pointer: fault.pointer });
      }
      chain.take(event, n, sha256(file.bytesOf(n)));
      lifecycleFault ??= faultOf(() => lifecycle.take(event));
      findings.take(event, n);
      const digests = event.get("details").get("_sd") ?? [];
      if (digests.length > 0) {
        counts.set(n, digests.length);
      }
      for (const one of digests) {
        const place = { seq: n, pointer: `/events/${n}/details/_sd` };
        doubled ??= positions.has(one) ? new Fault("disclosure-digest-twice", "a digest stands twice", place) : null;
        positions.set(one, n);
      }
      first ??= event;
      last = event;
    }
    if (file.closing !== null) {
      closingShape(file.closing, "");
    }
  });
  if (!isShaped) {
    result.warnings.clear();
    return;
  }
  const seal = file.closing?.get("seal") ?? null;
  const predicate = seal?.get("statement").get("predicate");
  result.events = file.length;
  if (file.length > 0) {
    result.execution_id = first.get("execution_id") ?? null;
    result.chain_head = chain.head;
    result.check("chain", () => chain.end(predicate?.get("chain").get("head") ?? null));
    result.check("lifecycle", () => {
      if (lifecycleFault !== null) {
        throw lifecycleFault;
      }
      if (seal !== null) {
        lifecycle.end();
      }
    });
  }
  const isSealed = result.check("sealed", () => {
    if (seal === null) {
      throw new Fault("not-sealed", "there is no closing line: the execution still runs, or its record was cut short");
    }
  });
  if (!isSealed) {
    result.disclosures = tellDisclosures(counts, new Map());
    return;
  }
  result.sealed_at = predicate.get("sealed_at");
  if (result.sealed_at < last.get("timestamp")) {
    result.warn("sealed-before-end", "sealed_at is before the last event", file.length - 1);
  }
  result.check("disclosures", () => {
    if (doubled !== null) {
      throw doubled;
    }
    result.disclosures = tellDisclosures(counts, checkDisclosures(file, positions));
  });
  result.check("head", () => checkHead(seal.get("statement"), first, last, file.length, chain.head));
  judgeSeal(result, seal, policy, now);
}

/** The checks `signature`, `trust` and `timestamp`. */
function judgeSeal(result, seal, policy, now) {
  const signers = seal.get("statement").get("predicate").get("signers").map((signer) => signer.get("keyid"));
  result.signers = judgeSignatures(seal, policy);
  result.evidence = seal.get("evidence").map((piece) => judgeEvidence(piece, null, null));
  result.check("signature", () => {
    checkSignatureOrder(signers, result.signers.map(({ keyid }) => keyid));
    const bad = result.signers.findIndex(({ status }) => status === "bad");
    if (bad >= 0) {
      throw new Fault("bad-signature", "the signature does not hold", { pointer: `/seal/signatures/${bad}/sig` });
    }
  });
  const isVerified = result.signers.some(({ role, status }) => role === "seal" && status === "good");
  if (!isVerified && result.checks.get("signature").status === "pass") {
    result.checks.set("signature", { status: "not_run", fault: null });
  }
  if (result.asked.has("timestamp")) {
    result.check("timestamp", () => {
      const first = (keyid) => result.signers.find((signer) => signer.keyid === keyid);
      if (!signers.every((keyid) => first(keyid) && timeOf(first(keyid)) !== null)) {
        throw new Fault("timestamp-missing", "a signer's signature has no trusted timestamp", {
          pointer: "/seal/signatures",
        });
      }
    });
  }
  if (policy !== null) {
    result.check("trust", () => checkTrust(policy, seal.get("statement"), result.signers, now));
  }
  warnOfSeal(result, policy);
}

// ---- Files ----------------------------------------------------------------------------------------------------------

const SYSTEM_ERRORS = { ENOENT: "no such file or directory", EACCES: "permission denied", ELOOP: "too many links" };

/** A `Fault` for an error of the operating system; any other error is raised again. */
function systemFault(error) {
  if (typeof error.syscall !== "string") {
    throw error;
  }
  return new Fault("unreadable", `cannot be read: ${SYSTEM_ERRORS[error.code] ?? error.code}`);
}

/** Wait a moment for a descriptor that another process made non-blocking. */
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);

/** Read an open file to its end, at most `limit` bytes. `size` is what to expect. */
function readAll(descriptor, size, limit) {
  let bytes = Buffer.allocUnsafe(Math.min(size, limit) + 1);
  let filled = 0;
  for (;;) {
    if (filled === bytes.length) {
      bytes = Buffer.concat([bytes], Math.min(2 * bytes.length + 65_536, limit + 1));
    }
    try {
      const number = fs.readSync(descriptor, bytes, filled, bytes.length - filled, null);
      filled += number;
      if (filled > limit) {
        throw new Fault("too-large", `more than ${limit} bytes`);
      }
      if (number === 0) {
        return bytes.subarray(0, filled);
      }
    } catch (error) {
      if (error.code === "EAGAIN") {
        pause();
      } else {
        throw error;
      }
    }
  }
}

/**
 * Read a file once. Nothing but a regular file is opened, so nothing is waited for.
 * @param {string} name - with bytes that are not UTF-8 as lone surrogates
 * @param {number} limit - in bytes
 */
function readFile(name, limit) {
  let descriptor = null;
  try {
    const path = pathOf(name);
    const isFile = fs.statSync(path).isFile();
    descriptor = isFile ? fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK) : null;
    const status = isFile ? fs.fstatSync(descriptor) : null;
    if (!status?.isFile()) {
      throw new Fault("unreadable", "cannot be read: not a regular file");
    }
    if (status.size > limit) {
      throw new Fault("too-large", `more than ${limit} bytes`);
    }
    return readAll(descriptor, status.size, limit);
  } catch (error) {
    throw error instanceof Fault ? error : systemFault(error);
  } finally {
    if (descriptor !== null) {
      fs.closeSync(descriptor);
    }
  }
}

/** Read standard input to its end. */
function readStandardInput() {
  try {
    return readAll(0, 0, MAX_FILE);
  } catch (error) {
    throw error instanceof Fault ? error : systemFault(error);
  }
}

/**
 * The arguments, with bytes that are not UTF-8 as lone surrogates U+DC80 to U+DCFF. Node replaces such bytes; the
 * kernel still has them.
 */
function rawArguments() {
  const given = process.argv.slice(2);
  if (!given.some((argument) => argument.includes("\ufffd"))) {
    return given;
  }
  try {
    const all = fs.readFileSync("/proc/self/cmdline").toString("latin1").split("\0").slice(0, -1);
    return all.slice(all.length - given.length).map((argument) => nameOf(Buffer.from(argument, "latin1")));
  } catch {
    return given;
  }
}

/** Bytes as text, those that are not UTF-8 each as a lone surrogate. */
function nameOf(bytes) {
  let name = "";
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((size) => faultless(() => UTF8.decode(bytes.subarray(at, at + size))));
    name += length ? UTF8.decode(bytes.subarray(at, at + length)) : String.fromCharCode(0xdc00 + bytes[at]);
    at += length ?? 1;
  }
  return name;
}

function faultless(action) {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

/** The bytes of a name. */
const pathOf = (name) =>
  Buffer.concat(
    [...name].map((character) =>
      /[\udc80-\udcff]/u.test(character) ? Buffer.from([character.charCodeAt(0) & 0xff]) : Buffer.from(character),
    ),
  );

/** A name as the report has it: lone surrogates spelled out (§11). */
const spelledOut = (name) => name.replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);

// ---- Report ---------------------------------------------------------------------------------------------------------

/** The report of §11, written as §10 says: canonical, ASCII only, one line feed. */
function jsonReport(exitCode, results) {
  const report = new Map(
    Object.entries({
      format: "hearth-verification/1",
      exit_code: exitCode,
      results: results.map((result) => result.toMap()),
    }),
  );
  return `${escaped(canonical(report))}\n`;
}

const MEANINGS = {
  0: "every check that was asked for holds; authentic is not true: it says who sealed what, no more",
  1: "altered, or wrong: do not rely on it",
  3: "this file cannot be judged",
  4: "consistent, but not trusted: nothing says whose it is",
  5: "not sealed, or cut short",
  70: "this program failed: nothing is known about this file",
};

/** One file's result for people. */
function textReport(result) {
  const lines = [escaped(spelledOut(result.file))];
  const line = (name, rest) => lines.push(`  ${name.padEnd(12)} ${rest}`);
  for (const [check, { status, fault }] of result.checks) {
    const place = fault?.pointer ? ` (at ${escaped(fault.pointer)})` : "";
    const remark = fault ? `${escaped(fault.message)}${place}` : "";
    const unasked = check === "timestamp" && !result.asked.has(check) ? "not asked for" : "";
    line(check, `${status.replace("_", " ").padEnd(9)}${remark || unasked}`.trimEnd());
  }
  if (result.sha256 !== null) {
    line("file", `sha256 ${result.sha256}`);
  }
  if (result.execution_id !== null) {
    line("execution", result.execution_id);
  }
  if (result.chain_head !== null) {
    line("events", `${result.events}, chain head ${result.chain_head}`);
  }
  if (result.sealed_at !== null) {
    line("sealed at", `${result.sealed_at}, by the sealer's word`);
  }
  const evidenceLine = ({ type, status, time, authority, reason }) =>
    line(
      escaped(type),
      { good: `good: existed by ${time}, by the word of the authority ${authority}`, bad: `BAD, as if absent: ${reason}` }[
        status
      ] ?? "not checked",
    );
  for (const { role, status, name, algorithm, keyid, evidence } of result.signers) {
    const who = name === null ? "a key that was not asked about or is not known" : shown(spelledOut(name));
    line(role, `${status.replace("_", " ")}: ${who}, ${algorithm ?? "algorithm not known"} ${keyid}`);
    evidence.forEach(evidenceLine);
  }
  result.evidence.forEach(evidenceLine);
  for (const told of result.disclosures) {
    const names = told.get("disclosed").map((name) => shown(name));
    const said = names.length > 0 ? `disclosed ${names.join(", ")}; ` : "";
    line("details", `event ${told.get("seq")}: ${said}${told.get("undisclosed")} withheld, or decoys`);
  }
  for (const { code, count: number, reason, seq } of result.warnings.values()) {
    line("warning", `${code}: ${reason} (${number}${seq === null ? "" : `, first at event ${seq}`})`);
  }
  line("verdict", `${VERDICTS[result.exitCode].toUpperCase()}: ${MEANINGS[result.exitCode]}`);
  return `${lines.join("\n")}\n`;
}

// ---- Command --------------------------------------------------------------------------------------------------------

const HELP = `usage: verify_record.mjs (--trust FILE | --key PUBLIC.pem ... | --no-trust) [options] FILE ...

Verify execution records offline.

  FILE                  record files; - is standard input
  --trust FILE          accept whom this trust policy names (hearth-trust/1)
  --key PUBLIC.pem      accept this public key; may be repeated
  --no-trust            check only what needs no key; ends with 4, never 0
  --min-policy-version N
                        refuse a trust policy whose version is lower
  --require-timestamp   demand a trusted timestamp on each signer's signature
  --format text|json    how to report (default: text)
  --allow-reformatted   rewrite a re-formatted file to its frame first, and say so
  --allow-example-keys  accept the published example keys, which prove nothing
  --batch               nothing else: read command lines from standard input, each a JSON array of arguments, and
                        answer each with a line: its JSON report, or {"exit_code":N} when no file was judged
  -h, --help            show this and end

exit codes: 0 verified, 1 altered, 2 usage, 3 cannot be judged, 4 not trusted, 5 incomplete, 70 internal error
`;

/** Wrong usage: exit code 2. */
class UsageError extends Error {}

/** Read the command line. */
function readArguments(argv) {
  const options = { trust: [], key: [], format: [], "min-policy-version": [], files: [] };
  const flags = new Set();
  const rest = [...argv];
  while (rest.length > 0) {
    const argument = rest.shift();
    const [, name, value] = /^--(trust|key|format|min-policy-version)(?:=(.*))?$/su.exec(argument) ?? [];
    if (name !== undefined) {
      const given = value ?? rest.shift();
      if (given === undefined) {
        throw new UsageError(`--${name} has no value`);
      }
      options[name].push(given);
    } else if (/^--(no-trust|require-timestamp|allow-reformatted|allow-example-keys|help)$/.test(argument)) {
      flags.add(argument.slice(2));
    } else if (argument === "-h") {
      flags.add("help");
    } else if (argument === "--") {
      options.files.push(...rest.splice(0));
    } else if (argument.startsWith("-") && argument !== "-") {
      throw new UsageError(`no such option: ${escaped(spelledOut(argument))}`);
    } else {
      options.files.push(argument);
    }
  }
  if (flags.has("help")) {
    return { help: true };
  }
  const ways = [options.trust.length > 0, options.key.length > 0, flags.has("no-trust")].filter(Boolean).length;
  if (ways !== 1 || options.trust.length > 1) {
    throw new UsageError("give one of --trust FILE, --key PUBLIC.pem, --no-trust");
  }
  if (options.format.some((format) => format !== "text" && format !== "json")) {
    throw new UsageError("--format is text or json");
  }
  const [least = "1", ...more] = options["min-policy-version"];
  if (!/^[0-9]{1,16}$/.test(least) || least < 1 || least > MAX_INTEGER || more.length > 0) {
    throw new UsageError("--min-policy-version is an integer from 1 on");
  }
  if (options["min-policy-version"].length > 0 && options.trust.length === 0) {
    throw new UsageError("--min-policy-version is about the policy of --trust FILE");
  }
  if (options.files.length === 0) {
    throw new UsageError("no file was given");
  }
  return {
    ...options,
    format: options.format.at(-1) ?? "text",
    minVersion: Number(least),
    allowReformatted: flags.has("allow-reformatted"),
    allowExampleKeys: flags.has("allow-example-keys"),
    requireTimestamp: flags.has("require-timestamp"),
  };
}

/** The policy that the options name, or null for none. */
function policyOf({ trust, key, minVersion, allowExampleKeys }) {
  const [file = null] = trust;
  if (file !== null) {
    let policy = null;
    const fault = faultOf(() => {
      policy = readPolicy(readFile(file, MAX_POLICY), minVersion, allowExampleKeys);
    });
    if (fault !== null) {
      const place = fault.pointer ? ` (at ${escaped(fault.pointer)})` : "";
      throw new Fault(fault.code, `${escaped(spelledOut(file))}: ${fault.message}${place}`);
    }
    return policy;
  }
  return key.length > 0 ? policyOfKeys(key, allowExampleKeys) : null;
}

/** Judge one file. A failure of this program itself is its outcome, never a stack trace. */
function verifyFile(name, policy, options) {
  const result = new Result(name);
  try {
    let bytes = null;
    const isRead = result.check("read", () => {
      bytes = name === "-" ? readStandardInput() : readFile(name, MAX_FILE);
    });
    if (isRead) {
      result.sha256 = sha256(bytes);
      judge(bytes, policy, options, result);
    }
  } catch {
    const failed = new Result(name);
    failed.broken = true;
    return failed;
  }
  return result;
}

/**
 * Run a command line.
 * @param {string[]} argv
 * @returns {{exitCode: number, output: string, problem: string, results: Result[]|null}}
 */
function run(argv) {
  try {
    const options = readArguments(argv);
    if (options.help) {
      return { exitCode: 0, output: HELP, problem: "", results: null };
    }
    const policy = policyOf(options);
    const now = `${new Date().toISOString().slice(0, -1)}000Z`;
    const results = options.files.map((name) => verifyFile(name, policy, { ...options, now }));
    const exitCodes = results.map((result) => result.exitCode);
    const exitCode = WORST_FIRST.find((code) => exitCodes.includes(code)) ?? 0;
    const output =
      options.format === "json" ? jsonReport(exitCode, results) : results.map(textReport).join("\n");
    return { exitCode, output, problem: "", results };
  } catch (error) {
    if (error instanceof UsageError) {
      return { exitCode: USAGE, output: "", problem: `${error.message}\n(--help shows the usage)`, results: null };
    }
    if (error instanceof Fault) {
      return { exitCode: REFUSED, output: "", problem: error.message, results: null };
    }
    return { exitCode: INTERNAL, output: "", problem: "internal error", results: null };
  }
}

/** Write all of a text, however often the descriptor has to be asked. */
function write(descriptor, output) {
  const bytes = Buffer.from(output);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += fs.writeSync(descriptor, bytes, written);
    } catch (error) {
      if (error.code !== "EAGAIN") {
        throw error;
      }
      pause();
    }
  }
}

/** Answer command lines from standard input, one a line, for whoever has many. */
function batch() {
  const answer = (line) => {
    const { exitCode, results } = run(JSON.parse(line));
    write(1, results === null ? `{"exit_code":${exitCode}}\n` : jsonReport(exitCode, results));
  };
  let rest = Buffer.alloc(0);
  const chunk = Buffer.allocUnsafe(65536);
  for (;;) {
    let number = 0;
    try {
      number = fs.readSync(0, chunk, 0, chunk.length, null);
    } catch (error) {
      if (error.code !== "EAGAIN") {
        throw error;
      }
      pause();
      continue;
    }
    if (number === 0) {
      return 0;
    }
    rest = Buffer.concat([rest, chunk.subarray(0, number)]);
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      answer(rest.subarray(0, end).toString());
      rest = rest.subarray(end + 1);
    }
  }
}

/** Run the program; its output could not be written: it failed. */
function main() {
  try {
    const argv = rawArguments();
    if (argv.length === 1 && argv[0] === "--batch") {
      return batch();
    }
    const { exitCode, output, problem } = run(argv);
    if (problem !== "") {
      write(2, `verify_record.mjs: error: ${problem}\n`);
    }
    write(1, output);
    return exitCode;
  } catch {
    return INTERNAL;
  }
}

process.exitCode = main();
