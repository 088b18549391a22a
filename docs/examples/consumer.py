"""Reads what `pg2kinesis --message-formatter JSON` publishes with pgoutput or wal2json.

Takes aggregates apart, drops duplicates, applies each change once, and puts transactions together.
Copy or import it; it needs Python 3.11 and no package.

    for record in deaggregate(data, partition_key):
        apply_once(record, copy)

The rules are explained in docs/consuming.md.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NotRequired, Protocol, TypedDict, cast


class UserRecord(NamedTuple):
    """One change, with the partition key that it was published under."""

    partition_key: str
    data: bytes


Columns = dict[str, Any]


class Place(TypedDict):
    """Where a record stands. All parts are there with pgoutput and wal2json."""

    v: Literal[1]
    xid: int
    lsn: str
    commit_lsn: str
    seq: int
    timeline: int
    ts: str  # RFC 3339, microseconds, UTC


class OfTable(Place):
    schema: str
    table: str


class OfRow(OfTable):
    key: NotRequired[Columns]  # whenever the table has a primary key
    oversize: NotRequired[Literal[True]]  # too large (--on-oversize key-only): no values


class Upsert(OfRow):
    op: Literal["insert", "update", "read"]
    before: NotRequired[Columns]
    after: NotRequired[Columns]
    unchanged: NotRequired[list[str]]  # columns that keep their value
    moved_from: NotRequired[Columns]
    request: NotRequired[str]  # of `read`: the backfill that read the row


class Delete(OfRow):
    op: Literal["delete"]
    before: NotRequired[Columns]
    moved_to: NotRequired[Columns]


class Truncate(OfTable):
    op: Literal["truncate"]


class BackfillEnd(OfTable):
    """A backfill has read all rows of the table. Every shard has this record."""

    op: Literal["backfill"]
    request: str
    rows: int
    complete: bool


class Commit(Place):
    """The end of a transaction, with --transaction-records."""

    op: Literal["commit"]
    changes: int
    tables: dict[str, int]
    messages: NotRequired[int]
    shards: int
    streams: int


class Message(TypedDict):
    """A logical message. One outside a transaction has only its `lsn`."""

    v: Literal[1]
    op: Literal["message"]
    lsn: str
    prefix: str
    xid: NotRequired[int]
    commit_lsn: NotRequired[str]
    seq: NotRequired[int]
    timeline: NotRequired[int]
    ts: NotRequired[str]
    content: NotRequired[str]
    encoding: NotRequired[Literal["base64"]]
    oversize: NotRequired[Literal[True]]


Change = Upsert | Delete | Truncate | BackfillEnd | Commit | Message

_MAGIC = b"\xf3\x89\x9a\xc2"
_MD5_BYTES = 16


def deaggregate(data: bytes, partition_key: str) -> list[UserRecord]:
    """The user records in a Kinesis record, aggregated by the KPL's format or not.

    https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
    """
    plain = [UserRecord(partition_key, data)]
    if len(data) < len(_MAGIC) + _MD5_BYTES or not data.startswith(_MAGIC):
        return plain
    message = data[len(_MAGIC) : -_MD5_BYTES]
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-_MD5_BYTES:]:
        return plain
    keys: list[str] = []
    records: list[tuple[int, bytes]] = []
    for number, value in _protobuf(message):
        if isinstance(value, int):
            continue
        if number == 1:
            keys.append(value.decode("utf-8", "replace"))
        elif number == 3:
            parts = dict(_protobuf(value))
            records.append((cast(int, parts[1]), cast(bytes, parts[3])))
    return [UserRecord(keys[key], user_data) for key, user_data in records]


def _protobuf(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message that has only numbers and bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        tag = varint()
        value = varint()
        if tag % 8 == 0:
            yield tag >> 3, value
        elif tag % 8 == 2:
            if at + value > len(data):
                raise ValueError("the aggregate is cut short")
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            raise ValueError(f"the aggregate has a field of the unknown type {tag % 8}")


def parse_change(data: bytes | str) -> Change:
    """Reads a record, with every digit of its integers."""
    return cast(Change, json.loads(data))


def position_of(change: Change) -> str | None:
    """`(timeline, commit_lsn, seq)` as text with the same sort order.

    None for a message outside a transaction, and for everything from test_decoding, which has no
    position.
    """
    commit_lsn, seq = change.get("commit_lsn"), change.get("seq")
    if commit_lsn is None or seq is None:
        return None
    high, low = commit_lsn.split("/")
    return f"{change.get('timeline', 1):010}/{high:0>8}{low:0>8}/{seq:016}"


class Copy(Protocol):
    """Where changes are applied: one place for all shards."""

    def highest_position(self, partition_key: str) -> str | None:
        """The highest position that was stored for a partition key, of deleted rows too."""

    def store_position(self, partition_key: str, position: str) -> None: ...

    def upsert(self, change: Upsert, position: str) -> None:
        """Stores a row with its position.

        Columns that `after` lacks keep their value, of the row under `moved_from` if there is none
        yet. An `update` with `moved_from` also removes the row there. Stores nothing if the table
        has a TRUNCATE above the position.
        """

    def remove(self, change: Delete, position: str) -> None:
        """Removes a row, if it is there."""

    def truncate(self, change: Truncate, position: str) -> None:
        """Removes the table's rows whose position is below, and no others.

        Remembers the highest position. May come more than once, and late.
        """

    def note(self, change: Message | BackfillEnd | Commit, position: str | None) -> None:
        """What has no row. May come more than once."""


def apply_once(record: UserRecord, copy: Copy) -> Change:
    """Applies a change, unless it was applied.

    After an interruption between a row and its position the change is applied again, which changes
    nothing. Do not call it again for the same partition key before it is done.
    """
    change = parse_change(record.data)
    position = position_of(change)
    if change["op"] == "message" or change["op"] == "backfill" or change["op"] == "commit":
        copy.note(change, position)
        return change
    if position is None:
        raise ValueError(
            "the change has no commit_lsn: use --pg-slot-output-plugin pgoutput or wal2json"
        )
    # It removes what is older, whichever shard it comes from, and whenever.
    if change["op"] == "truncate":
        copy.truncate(change, position)
        return change
    highest = copy.highest_position(record.partition_key)
    if highest is not None and position <= highest:
        return change
    if change["op"] == "delete":
        copy.remove(change, position)
    else:
        copy.upsert(change, position)
    copy.store_position(record.partition_key, position)
    return change


class MemoryCopy:
    """A table in memory: what a `Copy` does, to read or to test with."""

    def __init__(self) -> None:
        self._positions: dict[str, str] = {}
        self._rows: dict[tuple[str, str, str], tuple[str, Columns]] = {}
        self._truncated: dict[tuple[str, str], str] = {}
        self.backfilled: set[tuple[str, str, str]] = set()
        """Backfills that have ended, as request, schema and table."""

    def highest_position(self, partition_key: str) -> str | None:
        return self._positions.get(partition_key)

    def store_position(self, partition_key: str, position: str) -> None:
        self._positions[partition_key] = position

    def upsert(self, change: Upsert, position: str) -> None:
        if position < self._truncated.get((change["schema"], change["table"]), ""):
            return
        name = _row_name(change, change.get("key"))
        _, old = self._rows.get(name, ("", None))
        if "moved_from" in change:
            old_name = _row_name(change, change["moved_from"])
            old = old or self._rows.get(old_name, ("", None))[1]
            if change["op"] == "update":
                self._rows.pop(old_name, None)
        self._rows[name] = (position, {**(old or {}), **change.get("after", {})})

    def remove(self, change: Delete, position: str) -> None:
        self._rows.pop(_row_name(change, change.get("key")), None)

    def truncate(self, change: Truncate, position: str) -> None:
        table = (change["schema"], change["table"])
        # Lambda may deliver what comes before it in the same shard beside it.
        self._truncated[table] = max(position, self._truncated.get(table, ""))
        for name, (row_position, _) in list(self._rows.items()):
            if name[:2] == table and row_position < position:
                del self._rows[name]

    def note(self, change: Message | BackfillEnd | Commit, position: str | None) -> None:
        if change["op"] == "backfill" and change["complete"]:
            self.backfilled.add((change["request"], change["schema"], change["table"]))

    def rows(self, schema: str, table: str) -> list[Columns]:
        """The rows of a table, in no order."""
        return [row for name, (_, row) in self._rows.items() if name[:2] == (schema, table)]


def _row_name(change: OfTable, key: Columns | None) -> tuple[str, str, str]:
    return change["schema"], change["table"], json.dumps(key)


class Transaction(NamedTuple):
    commit: Commit
    changes: list[Upsert | Delete | Truncate | Message]
    """In the order in which they were made."""


@dataclass
class _Open:
    commit: Commit | None = None
    changes: dict[tuple[int, str], Upsert | Delete | Truncate | Message] = field(
        default_factory=dict
    )
    # Of updates of the key: the operations that are there, by seq.
    halves: dict[int, set[str]] = field(default_factory=dict)


_REMEMBERED = 100_000
"""Transactions that are not given again when parts of them are repeated."""


class Transactions:
    """Puts transactions together from the records of all shards (--transaction-records).

    A transaction is given when all its changes are there, in whatever order its shards are read,
    duplicates included. It is given again after a restart, or when it comes again after many
    others. `read` and `backfill` are no part of one.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], _Open] = {}
        # Those that were given last; a dict keeps their order.
        self._given: dict[tuple[int, str], None] = {}

    @property
    def open(self) -> int:
        """Those of which a change has been read and that are not complete."""
        return len(self._open)

    def add(self, change: Change) -> Transaction | None:
        """Gives the transaction that the change completes."""
        if change["op"] == "read" or change["op"] == "backfill":
            return None
        commit_lsn, seq = change.get("commit_lsn"), change.get("seq")
        if commit_lsn is None or seq is None:
            return None
        name = (change.get("timeline", 1), commit_lsn)
        if name in self._given:
            return None
        transaction = self._open.setdefault(name, _Open())
        if change["op"] == "commit":
            transaction.commit = change
        else:
            # An update of the key is two records with one seq.
            is_half = (change["op"] == "delete" and "moved_to" in change) or (
                change["op"] == "insert" and "moved_from" in change
            )
            transaction.changes[seq, change["op"] if is_half else ""] = change
            if is_half:
                transaction.halves.setdefault(seq, set()).add(change["op"])
        commit, changes, halves = transaction.commit, transaction.changes, transaction.halves
        if commit is None or any(len(half) < 2 for half in halves.values()):
            return None
        if len(changes) - len(halves) < commit["changes"]:
            return None
        del self._open[name]
        self._given[name] = None
        if len(self._given) > _REMEMBERED:
            del self._given[next(iter(self._given))]
        # A delete of the old key comes before the insert of the new one.
        return Transaction(commit, [changes[place] for place in sorted(changes)])
