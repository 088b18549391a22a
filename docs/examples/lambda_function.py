"""A Lambda function that applies what `pg2kinesis --message-formatter JSON` publishes.

With pgoutput or wal2json: each change once, in order. Give it your `copy`, and package it with
consumer.py; Powertools comes as a layer.

Event source mapping: ParallelizationFactor 1, FunctionResponseTypes ReportBatchItemFailures, no
MaximumRecordAgeInSeconds and no MaximumRetryAttempts: a batch that Lambda gives up on is lost.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes import KinesisStreamEvent
from consumer import Copy, apply_once, deaggregate

logger = Logger(service="apply-changes")


def create_handler(copy: Copy) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """`copy` is one for all shards, for example tables in DynamoDB. Its reads must be consistent."""

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        # With a tumbling window Lambda wants the window's state back.
        answer = {"state": event["state"]} if "state" in event else {}
        # Not Powertools' BatchProcessor: it continues after a record that failed, and what comes
        # again then is below the positions of the records that overtook it.
        for record in KinesisStreamEvent(event).records:
            stored = record.kinesis
            try:
                for user_record in deaggregate(stored.data_as_bytes(), stored.partition_key):
                    apply_once(user_record, copy)
            except Exception:
                logger.exception("cannot apply a record", sequence_number=stored.sequence_number)
                # Lambda continues with this record, so that nothing later overtakes it.
                failure = {"itemIdentifier": stored.sequence_number}
                return {**answer, "batchItemFailures": [failure]}
        return {**answer, "batchItemFailures": []}

    return handler
