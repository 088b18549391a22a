"""Invokes docs/examples/lambda_function.py: an event a line on stdin, its answer a line on stdout.

The function's database is away from time to time. The line `rows` asks for the copy.
"""

import json
import random
import sys

answers, sys.stdout = sys.stdout, sys.stderr  # to which Powertools logs, from its import on

from consumer import Delete, MemoryCopy, Upsert  # noqa: E402
from lambda_function import create_handler  # noqa: E402

RANDOM = random.Random(7)


class FailingCopy(MemoryCopy):
    failures = 0

    def upsert(self, change: Upsert, position: str) -> None:
        self._may_fail()
        super().upsert(change, position)
        self._may_fail()

    def remove(self, change: Delete, position: str) -> None:
        self._may_fail()
        super().remove(change, position)

    def store_position(self, partition_key: str, position: str) -> None:
        self._may_fail()
        super().store_position(partition_key, position)

    def _may_fail(self) -> None:
        if RANDOM.random() < 0.01:
            self.failures += 1
            raise ConnectionError("the database of the copy is away")


copy = FailingCopy()
handler = create_handler(copy)
for line in sys.stdin:
    if line == "rows\n":
        rows = sorted(copy.rows("public", "t"), key=lambda row: row["id"])
        values = [[row["id"], row["version"], str(row["big"]), row["note"]] for row in rows]
        print(json.dumps({"rows": values, "failures": copy.failures}), file=answers, flush=True)
    else:
        print(json.dumps(handler(json.loads(line), None)), file=answers, flush=True)
