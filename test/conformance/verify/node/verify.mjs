// Verifies what Belfry exports, from docs/format.md alone, with nothing but Node itself.
//
//   node verify.mjs --export FILE --checkpoint FILE --key VKEY [--since OLD_CHECKPOINT]
//   node verify.mjs --bundle FILE --key VKEY
//   node verify.mjs --canonical         canonical JSON of each line of standard input
//
// Exit code 0 and a line "OK: ..." only if all of it holds, else 1 and "FAIL: ...".

import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

class Fail extends Error {}

const fail = (why) => {
  throw new Fail(why);
};

// --- JSON that forgets nothing ---------------------------------------------------------------

// A number as its sender wrote it: 1.50 is not 1.5. JSON.parse would lose that.
class Numeral {
  constructor(text) {
    this.text = text;
  }
}

const utf8 = (bytes) => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail('not UTF-8');
  }
};

const maxDepth = 200;

// Reads exactly one JSON value. Objects become Maps, which refuse a name that stands twice.
function parse(bytes) {
  const text = utf8(bytes);
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found?.[0];
  };
  const space = () => match(/[ \t\r\n]*/y);
  const expect = (mark) => {
    space();
    if (text[at] !== mark) fail(`not JSON: want ${mark} at ${at}`);
    at++;
  };
  const next = (mark) => {
    space();
    if (text[at] !== mark) return false;
    at++;
    return true;
  };
  const string = () => {
    space();
    const raw = match(/"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    if (raw === undefined) fail(`not JSON: want a string at ${at}`);
    const value = JSON.parse(raw);
    if (!value.isWellFormed()) fail('half a surrogate pair');
    return value;
  };
  const value = (depth) => {
    if (depth > maxDepth) fail('nested too deep');
    space();
    if (text[at] === '"') return string();
    if (next('{')) {
      const members = new Map();
      if (next('}')) return members;
      do {
        const name = string();
        if (members.has(name)) fail('a name stands twice in its object');
        expect(':');
        members.set(name, value(depth + 1));
      } while (next(','));
      expect('}');
      return members;
    }
    if (next('[')) {
      const list = [];
      if (next(']')) return list;
      do list.push(value(depth + 1));
      while (next(','));
      expect(']');
      return list;
    }
    const word = match(/true|false|null/y);
    if (word !== undefined) return { true: true, false: false, null: null }[word];
    const numeral = match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y);
    return numeral === undefined ? fail(`not JSON at ${at}`) : new Numeral(numeral);
  };
  const whole = value(0);
  space();
  if (at !== text.length) fail('not JSON: something follows the value');
  return whole;
}

const escapes = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const quote = (text) =>
  `"${text.replace(/["\\\x00-\x1f]/g, (c) => escapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;

function canonical(value) {
  if (value === null || value === true || value === false) return String(value);
  if (value instanceof Numeral) return value.text;
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const names = [...value.keys()].sort((a, b) => (a < b ? -1 : 1)); // strings compare by UTF-16 units
  return `{${names.map((name) => `${quote(name)}:${canonical(value.get(name))}`).join(',')}}`;
}

// The members of an object that must have exactly these.
function members(value, ...names) {
  if (!(value instanceof Map) || value.size !== names.length || !names.every((name) => value.has(name)))
    fail(`want an object with ${names.join(', ')}`);
  return names.map((name) => value.get(name));
}

function natural(value) {
  const text = value instanceof Numeral ? value.text : '';
  return /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : fail(`${text} is not a number of events`);
}

// Strict base64: one text for the same bytes, and no other.
function unbase64(text, size) {
  const bytes = Buffer.from(typeof text === 'string' ? text : fail('want a string'), 'base64');
  if (bytes.toString('base64') !== text || (size !== undefined && bytes.length !== size))
    fail('not strict base64, or of another length');
  return bytes;
}

// --- The tree (RFC 6962) ---------------------------------------------------------------------

const sha256 = (...parts) => {
  const h = createHash('sha256');
  for (const part of parts) h.update(part);
  return h.digest();
};
const leafHash = (data) => sha256(Buffer.from([0]), data);
const nodeHash = (left, right) => sha256(Buffer.from([1]), left, right);

// The widths of the largest aligned subtrees that cover [start, end), from left to right.
// Sizes can pass 2^31: no bit operators.
function cover(start, end) {
  const widths = [];
  while (start < end) {
    let width = 1;
    while (width * 2 <= end - start && start % (width * 2) === 0) width *= 2;
    widths.push(width);
    start += width;
  }
  return widths;
}

// A tree that grows to the right: the hashes of the complete subtrees that cover it.
class Tree {
  size = 0;
  nodes = []; // { width, hash }, the widest first

  add(width, hash) {
    this.size += width;
    while (this.nodes.at(-1)?.width === width) {
      hash = nodeHash(this.nodes.pop().hash, hash);
      width *= 2;
    }
    this.nodes.push({ width, hash });
  }

  root() {
    if (this.nodes.length === 0) return sha256(Buffer.alloc(0));
    return this.nodes.slice(0, -1).reduceRight((hash, left) => nodeHash(left.hash, hash), this.nodes.at(-1).hash);
  }
}

// The root that an inclusion proof leads to (RFC 9162, 2.1.3.2).
function rootOfInclusion(index, size, hash, path) {
  if (index >= size) fail('the leaf lies outside of the tree');
  let at = BigInt(index);
  let last = BigInt(size - 1);
  for (const other of path) {
    if (last === 0n) fail('the proof is too long');
    if (at & 1n || at === last) {
      hash = nodeHash(other, hash);
      while (!(at & 1n) && at) [at, last] = [at >> 1n, last >> 1n];
    } else hash = nodeHash(hash, other);
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n ? hash : fail('the proof is too short');
}

// --- Checkpoints (C2SP signed-note, tlog-checkpoint) -----------------------------------------

function openKey(vkey) {
  const [, name, id, text] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey.trim()) ?? fail('the key is not NAME+HASH+KEY');
  const data = unbase64(text, 33);
  const hash = sha256(`${name}\n`, data).subarray(0, 4);
  if (data[0] !== 1 || hash.toString('hex') !== id) fail('the key is not an Ed25519 key, or was changed');
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: data.subarray(1).toString('base64url') };
  return { name, hash, public: createPublicKey({ key: jwk, format: 'jwk' }) };
}

// The origin, size and root of a note that the key signed.
function openCheckpoint(note, key) {
  note = note.replaceAll('\r\n', '\n');
  const end = note.lastIndexOf('\n\n');
  if (end < 0) fail('the checkpoint has no signatures');
  const text = note.slice(0, end + 1);
  const signed = note
    .slice(end + 2)
    .replace(/\n+$/, '')
    .split('\n')
    .some((line) => {
      const [, name, signature64] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? fail('a line of the signatures is none');
      const signature = unbase64(signature64);
      if (name !== key.name || !signature.subarray(0, 4).equals(key.hash)) return false;
      return verifySignature(null, Buffer.from(text), key.public, signature.subarray(4)) || fail('the signature does not hold');
    });
  if (!signed) fail('the key did not sign the checkpoint');
  const [origin, size, root] = text.split('\n');
  return { origin, size: natural(new Numeral(size ?? '')), root: unbase64(root, 32) };
}

// --- Events ----------------------------------------------------------------------------------

// Sets the member at an RFC 6901 pointer, making the objects on the way.
function put(event, pointer, value) {
  if (!pointer.startsWith('/')) fail(`${pointer} is not a pointer`);
  const names = pointer.slice(1).split('/').map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = names.pop();
  for (const name of names) {
    if (!event.has(name)) event.set(name, new Map());
    event = event.get(name);
    if (!(event instanceof Map)) fail(`${pointer} leads into something that is no object`);
  }
  if (event.has(last)) fail(`${pointer} is there already`);
  event.set(last, value);
}

// Checks one event and gives its leaf, its account and how many fields are not opened.
function checkEvent(account, seq, envelope64, shown, openings) {
  const envelope = unbase64(envelope64);
  const [version, recordedAt, owner, submittedBy, event, commitments] = members(
    parse(envelope), 'v', 'recorded_at', 'account', 'submitted_by', 'event', 'commitments');
  if (version?.text !== '1') fail('the envelope is not of version 1');
  if (account !== undefined && owner !== account) fail('the envelope belongs to another account');
  if (![event, openings, commitments].every((v) => v instanceof Map)) fail('event, openings and commitments must be objects');
  for (const [pointer, opening] of openings) {
    const [salt, value] = members(opening, 'salt', 'value');
    const committed = commitments.has(pointer) ? unbase64(commitments.get(pointer), 32) : fail(`${pointer} was not committed to`);
    if (!sha256(unbase64(salt, 32), canonical(value)).equals(committed)) fail(`${pointer} is not what was committed to`);
  }
  const order = [...openings.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const pointer of order) put(event, pointer, openings.get(pointer).get('value')); // /after before /after/x
  event.set('account', owner).set('recorded_at', recordedAt).set('seq', seq).set('submitted_by', submittedBy);
  if (canonical(event) !== canonical(shown)) fail('the event that is shown is not the one that was recorded');
  return { leaf: leafHash(envelope), owner, closed: commitments.size - openings.size };
}

// --- Files -----------------------------------------------------------------------------------

// The lines of a file, which "\n" ends and nothing else.
function linesOf(bytes) {
  const lines = [];
  for (let start = 0; start <= bytes.length; ) {
    const end = bytes.indexOf(10, start);
    lines.push(bytes.subarray(start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length + 1 : end + 1;
  }
  while (lines.length > 0 && lines.at(-1).toString('latin1').trim() === '') lines.pop();
  return lines;
}

function verifyExport(file, checkpoint, vkey, older) {
  const key = openKey(vkey);
  const lines = linesOf(readFileSync(file));
  if (lines.length === 0) fail('the export is empty');
  const [header] = members(parse(lines[0]), 'export');
  const [version, account, from, to, total, left, right] = members(header, 'v', 'account', 'from', 'to', 'size', 'left', 'right');
  const [start, end, size] = [from, to, total].map(natural);
  if (version?.text !== '1' || start > end || end > size) fail('line 1 is not a header that this verifies');
  let waiting = [checkpoint, older].filter((note) => note !== undefined).map((note) => openCheckpoint(note, key));
  if (waiting.some(({ origin }) => origin !== `${key.name}/${account}`)) fail('a checkpoint is of another log');
  const covered = waiting[0].size;
  const tree = new Tree();
  const compare = () => {
    for (const one of waiting.filter((c) => c.size === tree.size))
      if (!one.root.equals(tree.root())) fail(`the first ${tree.size} events do not make the root that was signed`);
    waiting = waiting.filter((c) => c.size !== tree.size);
  };
  const beside = (hashes, widths, name) => {
    if (!Array.isArray(hashes) || hashes.length !== widths.length) fail(`${name} has another number of hashes than its range`);
    widths.forEach((width, i) => {
      tree.add(width, unbase64(hashes[i], 32));
      compare();
    });
  };
  compare();
  beside(left, cover(0, start), 'left');
  if (lines.length - 1 !== end - start) fail(`the export has ${lines.length - 1} events, its header promises ${end - start}`);
  let closed = 0;
  lines.slice(1).forEach((line, i) => {
    try {
      const [seq, envelope, shown, openings] = members(parse(line), 'seq', 'envelope', 'event', 'openings');
      if (natural(seq) !== start + i) fail('an event is missing, doubled or moved');
      const checked = checkEvent(account, seq, envelope, shown, openings);
      closed += checked.closed;
      tree.add(1, checked.leaf);
    } catch (e) {
      throw e instanceof Fail ? new Fail(`event ${start + i} (line ${i + 2}): ${e.message}`) : e;
    }
    compare();
  });
  beside(right, cover(end, size), 'right');
  if (waiting.length > 0) fail(`this export cannot be compared with a checkpoint of size ${waiting[0].size}`);
  const beyond = Math.max(0, end - Math.max(start, covered));
  return `${account}, events ${start} to ${end - 1} of ${size}, none missing, each shown as recorded; fields not opened: ${closed}; not covered: ${beyond}`;
}

function verifyBundle(file, vkey) {
  const [about, seq, envelope, shown, openings, proof, named] = members(
    parse(readFileSync(file)), 'bundle', 'seq', 'envelope', 'event', 'openings', 'proof', 'vkey');
  if (canonical(about) !== '{"v":1}' || named !== vkey.trim() || typeof proof !== 'string')
    fail('a bundle of another version, or made with another key');
  const key = openKey(vkey);
  const { leaf, owner, closed } = checkEvent(undefined, seq, envelope, shown, openings);
  const end = proof.indexOf('\n\n');
  const lines = proof.slice(0, Math.max(end, 0)).split('\n');
  if (lines.shift() !== 'c2sp.org/tlog-proof@v1') fail('the proof is not a tlog-proof');
  if (lines[0]?.startsWith('extra ')) lines.shift();
  if (lines.shift() !== `index ${natural(seq)}`) fail('the proof is for another event');
  const { origin, size, root } = openCheckpoint(proof.slice(end + 2), key);
  if (origin !== `${key.name}/${owner}`) fail('the checkpoint is of another log');
  const path = lines.map((line) => unbase64(line, 32));
  if (!rootOfInclusion(natural(seq), size, leaf, path).equals(root)) fail('the proof does not lead to the root that was signed');
  return `${owner}, event ${seq.text} in the log of ${size} events, shown as recorded; fields not opened: ${closed}`;
}

const text = { type: 'string' };
const { values: a } = parseArgs({
  options: { export: text, checkpoint: text, key: text, since: text, bundle: text, canonical: { type: 'boolean' } },
});
const noteOf = (file) => (file === undefined ? undefined : utf8(readFileSync(file)));
try {
  if (a.canonical) {
    for (const line of linesOf(readFileSync(0))) if (line.length > 0) process.stdout.write(`${canonical(parse(line))}\n`);
  } else if (a.bundle && a.key) console.log('OK:', JSON.stringify(verifyBundle(a.bundle, a.key)));
  else if (a.export && a.checkpoint && a.key) {
    console.log('OK:', JSON.stringify(verifyExport(a.export, noteOf(a.checkpoint), a.key, noteOf(a.since))));
  } else fail('give --export, --checkpoint and --key, or --bundle and --key');
} catch (e) {
  if (!(e instanceof Fail) && e.syscall === undefined) throw e;
  console.log('FAIL:', JSON.stringify(e.message));
  process.exitCode = 1;
}
