#!/usr/bin/env python3
"""Verifies what Belfry exports, from docs/format.md alone: the standard library and an Ed25519 package.

    verify.py --export FILE --checkpoint FILE --key VKEY [--since OLD_CHECKPOINT]
    verify.py --bundle FILE --key VKEY
    verify.py --canonical         canonical JSON of each line of standard input

Exit code 0 and a line "OK: ..." only if all of it holds, else 1 and "FAIL: ...".
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Fail(Exception):
    """Something does not hold; its text says what."""


# --- JSON that forgets nothing -------------------------------------------------------------------


class Number(str):
    """A number as its sender wrote it: 1.50 is not 1.5."""


def number(text):
    if not text.isascii():
        raise Fail("a number with digits that are not ASCII")
    return Number(text)


def constant(name):
    raise Fail(f"{name} is not JSON")


def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Fail("a name stands twice in its object")
    return members


def parse(data):
    """Reads exactly one JSON value from bytes of UTF-8."""
    try:
        value = json.loads(data.decode("utf-8"), parse_int=number, parse_float=number, parse_constant=constant, object_pairs_hook=unique)
        canonical(value).encode("utf-8")  # a lone surrogate fails here
        return value
    except (ValueError, RecursionError) as e:
        raise Fail(f"not JSON: {e}") from None


ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text):
    return '"' + re.sub(r'["\\\x00-\x1f]', lambda m: ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), text) + '"'


def canonical(value):
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(quote(name) + ":" + canonical(value[name]) for name in names) + "}"


def members(value, *names):
    """The members of an object that must have exactly these."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise Fail(f"want an object with {', '.join(names)}")
    return [value[name] for name in names]


def natural(value):
    if not isinstance(value, Number) or not re.fullmatch(r"0|[1-9][0-9]{0,17}", value):
        raise Fail(f"{value!r} is not a number of events")
    return int(value)


def string(value):
    if not isinstance(value, str) or isinstance(value, Number):
        raise Fail("want a string")
    return value


def unbase64(text, size=None):
    """Strict base64: one text for the same bytes, and no other."""
    try:
        data = base64.b64decode(string(text), validate=True)
    except (binascii.Error, ValueError):
        raise Fail("not base64") from None
    if base64.b64encode(data).decode() != text or size is not None and len(data) != size:
        raise Fail("not strict base64, or of another length")
    return data


# --- The tree (RFC 6962) -------------------------------------------------------------------------


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def cover(start, end):
    """The widths of the largest aligned subtrees that cover [start, end), from left to right."""
    widths = []
    while start < end:
        width = 1 << ((end - start).bit_length() - 1)
        if start:
            width = min(width, start & -start)
        widths.append(width)
        start += width
    return widths


class Tree:
    """A tree that grows to the right: the hashes of the complete subtrees that cover it."""

    def __init__(self):
        self.size = 0
        self.nodes = []  # (width, hash), the widest first

    def add(self, width, value):
        self.size += width
        while self.nodes and self.nodes[-1][0] == width:
            value = node_hash(self.nodes.pop()[1], value)
            width *= 2
        self.nodes.append((width, value))

    def root(self):
        if not self.nodes:
            return hashlib.sha256(b"").digest()
        value = self.nodes[-1][1]
        for _, left in reversed(self.nodes[:-1]):
            value = node_hash(left, value)
        return value


def root_of_inclusion(index, size, value, path):
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    if index >= size:
        raise Fail("the leaf lies outside of the tree")
    at, last = index, size - 1
    for other in path:
        if last == 0:
            raise Fail("the proof is too long")
        if at & 1 or at == last:
            value = node_hash(other, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, other)
        at, last = at >> 1, last >> 1
    if last:
        raise Fail("the proof is too short")
    return value


# --- Checkpoints (C2SP signed-note, tlog-checkpoint) ---------------------------------------------


class Key:
    def __init__(self, vkey):
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3:
            raise Fail("the key is not NAME+HASH+KEY")
        self.name = parts[0]
        data = unbase64(parts[2], 33)
        self.hash = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        if data[0] != 1 or parts[1] != self.hash.hex():
            raise Fail("the key is not an Ed25519 key, or was changed")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])


def open_checkpoint(note, key):
    """The origin, size and root of a note that the key signed."""
    text, separator, signatures = note.replace("\r\n", "\n").rpartition("\n\n")
    if not separator:
        raise Fail("the checkpoint has no signatures")
    text += "\n"
    for line in signatures.strip("\n").split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise Fail("a line of the signatures is none")
        signature = unbase64(parts[2])
        if parts[1] == key.name and signature[:4] == key.hash:
            try:
                key.public.verify(signature[4:], text.encode())
            except InvalidSignature:
                raise Fail("the signature does not hold") from None
            break
    else:
        raise Fail("the key did not sign the checkpoint")
    lines = text.split("\n")
    if len(lines) < 4 or not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]):
        raise Fail("the checkpoint has no origin, size and root")
    return lines[0], int(lines[1]), unbase64(lines[2], 32)


# --- Events --------------------------------------------------------------------------------------


def put(event, pointer, value):
    """Sets the member at an RFC 6901 pointer, making the objects on the way."""
    if not pointer.startswith("/"):
        raise Fail(f"{pointer} is not a pointer")
    names = [name.replace("~1", "/").replace("~0", "~") for name in pointer[1:].split("/")]
    for name in names[:-1]:
        event = event.setdefault(name, {})
        if not isinstance(event, dict):
            raise Fail(f"{pointer} leads into something that is no object")
    if names[-1] in event:
        raise Fail(f"{pointer} is there already")
    event[names[-1]] = value


def check_event(account, seq, envelope64, shown, openings):
    """Checks one event and gives its leaf, its account and how many fields are not opened."""
    envelope = unbase64(envelope64)
    version, recorded_at, owner, submitted_by, event, commitments = members(
        parse(envelope), "v", "recorded_at", "account", "submitted_by", "event", "commitments")
    if version != Number("1") or not isinstance(version, Number):
        raise Fail("the envelope is not of version 1")
    if account is not None and owner != account:
        raise Fail("the envelope belongs to another account")
    if not isinstance(event, dict) or not isinstance(openings, dict) or not isinstance(commitments, dict):
        raise Fail("event, openings and commitments must be objects")
    for pointer, opening in openings.items():
        salt, value = members(opening, "salt", "value")
        committed = unbase64(commitments.get(pointer), 32) if pointer in commitments else None
        if hashlib.sha256(unbase64(salt, 32) + canonical(value).encode()).digest() != committed:
            raise Fail(f"{pointer} is not what was committed to")
    for pointer in sorted(openings, key=lambda p: p.encode()):  # /after comes before /after/x
        put(event, pointer, openings[pointer]["value"])
    event.update(account=owner, recorded_at=recorded_at, seq=Number(seq), submitted_by=submitted_by)
    if canonical(event) != canonical(shown):
        raise Fail("the event that is shown is not the one that was recorded")
    return leaf_hash(envelope), owner, len(commitments) - len(openings)


# --- Files ---------------------------------------------------------------------------------------


def verify_export(path, checkpoint, vkey, older):
    key = Key(vkey)
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")  # splitlines() would also split at U+2028 and others
    while lines and lines[-1].strip(b" \t\r") == b"":
        lines.pop()
    if not lines:
        raise Fail("the export is empty")
    (header,) = members(parse(lines[0]), "export")
    version, account, start, end, size, left, right = members(header, "v", "account", "from", "to", "size", "left", "right")
    start, end, size = natural(start), natural(end), natural(size)
    if not isinstance(version, Number) or version != "1" or start > end or end > size:
        raise Fail("line 1 is not a header that this verifies")
    waiting = [open_checkpoint(checkpoint, key)] + ([open_checkpoint(older, key)] if older is not None else [])
    for origin, _, _ in waiting:
        if origin != f"{key.name}/{account}":
            raise Fail("a checkpoint is of another log")
    covered = waiting[0][1]
    tree = Tree()

    def compare():
        for checkpoint in list(waiting):
            if checkpoint[1] == tree.size:
                if checkpoint[2] != tree.root():
                    raise Fail(f"the first {tree.size} events do not make the root that was signed")
                waiting.remove(checkpoint)

    def beside(hashes, widths, name):
        if not isinstance(hashes, list) or len(hashes) != len(widths):
            raise Fail(f"{name} has another number of hashes than its range")
        for width, value in zip(widths, hashes):
            tree.add(width, unbase64(value, 32))
            compare()

    compare()
    beside(left, cover(0, start), "left")
    if len(lines) - 1 != end - start:
        raise Fail(f"the export has {len(lines) - 1} events, its header promises {end - start}")
    closed = 0
    for i, line in enumerate(lines[1:]):
        try:
            seq, envelope, shown, openings = members(parse(line), "seq", "envelope", "event", "openings")
            if natural(seq) != start + i:
                raise Fail("an event is missing, doubled or moved")
            leaf, _, hidden = check_event(account, seq, envelope, shown, openings)
        except Fail as e:
            raise Fail(f"event {start + i} (line {i + 2}): {e}") from None
        closed += hidden
        tree.add(1, leaf)
        compare()
    beside(right, cover(end, size), "right")
    if waiting:
        raise Fail(f"this export cannot be compared with a checkpoint of size {waiting[0][1]}")
    return f"{account}, events {start} to {end - 1} of {size}, none missing, each shown as recorded; fields not opened: {closed}; not covered: {max(0, end - max(start, covered))}"


def verify_bundle(path, vkey):
    with open(path, "rb") as file:
        bundle = parse(file.read())
    about, seq, envelope, shown, openings, proof, named = members(bundle, "bundle", "seq", "envelope", "event", "openings", "proof", "vkey")
    if canonical(about) != '{"v":1}' or named != vkey.strip():
        raise Fail("a bundle of another version, or made with another key")
    key = Key(vkey)
    leaf, account, closed = check_event(None, seq, envelope, shown, openings)
    head, separator, note = string(proof).partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Fail("the proof is not a tlog-proof")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    if len(lines) < 2 or lines[1] != f"index {natural(seq)}":
        raise Fail("the proof is for another event")
    origin, size, root = open_checkpoint(note, key)
    if origin != f"{key.name}/{account}":
        raise Fail("the checkpoint is of another log")
    if root_of_inclusion(natural(seq), size, leaf, [unbase64(line, 32) for line in lines[2:]]) != root:
        raise Fail("the proof does not lead to the root that was signed")
    return f"{account}, event {seq} in the log of {size} events, shown as recorded; fields not opened: {closed}"


def text_of(path):
    if path is None:
        return None
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def main():
    p = argparse.ArgumentParser(description="Verifies exports and bundles of a Belfry audit log.")
    for name in ("export", "checkpoint", "key", "since", "bundle"):
        p.add_argument("--" + name)
    p.add_argument("--canonical", action="store_true")
    a = p.parse_args()
    try:
        if a.canonical:
            for line in sys.stdin.buffer.read().split(b"\n"):
                if line:
                    sys.stdout.buffer.write(canonical(parse(line)).encode() + b"\n")
        elif a.bundle and a.key:
            print("OK:", ascii(verify_bundle(a.bundle, a.key)))
        elif a.export and a.checkpoint and a.key:
            print("OK:", ascii(verify_export(a.export, text_of(a.checkpoint), a.key, text_of(a.since))))
        else:
            p.error("give --export, --checkpoint and --key, or --bundle and --key")
    except (Fail, UnicodeError, OSError) as e:
        print("FAIL:", ascii(str(e)))
        sys.exit(1)


main()
