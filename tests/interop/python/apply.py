"""Gives a line of stdin after the other, [partition key, base64], to docs/examples/consumer.py."""

import base64
import json
import sys

from consumer import MemoryCopy, Transactions, apply_once, deaggregate, parse_change, position_of

copy = MemoryCopy()
transactions = Transactions()
found = {}
positions = []
for line in sys.stdin:
    partition_key, data = json.loads(line)
    for record in deaggregate(base64.b64decode(data), partition_key):
        change = apply_once(record, copy)
        positions.append(position_of(change))
        transaction = transactions.add(parse_change(record.data))
        if transaction is not None:
            found[transaction.commit["xid"]] = [[c["op"], c["seq"]] for c in transaction.changes]

rows = sorted(copy.rows("public", "t"), key=lambda row: row["id"])
print(
    json.dumps(
        {
            "rows": [[row["id"], row["version"], str(row["big"]), row["note"]] for row in rows],
            "backfilled": list(copy.backfilled),
            "records": len(positions),
            "positions": positions,
            "transactions": found,
            "open": transactions.open,
        }
    )
)
