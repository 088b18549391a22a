"""AWS's deaggregator for Python: lines in and out as in ../java/kcl/Deaggregate.java."""

import base64
import sys

from aws_kinesis_agg.deaggregator import iter_deaggregate_records

for line in sys.stdin:
    sequence_number, _start, _end, partition_key, data = line.rstrip("\n").split(" ")
    record = {
        "eventVersion": "1.0",
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "sequenceNumber": sequence_number,
            "partitionKey": base64.b64decode(partition_key).decode(),
            "data": data,
            "approximateArrivalTimestamp": 1795334462.123,
        },
    }
    for user in iter_deaggregate_records([record]):
        kinesis = user["kinesis"]
        key = base64.b64encode(kinesis["partitionKey"].encode()).decode()
        place = kinesis.get("subSequenceNumber", 0)
        # Bytes for one that was aggregated, text for a plain one.
        user_data = kinesis["data"]
        if isinstance(user_data, bytes):
            user_data = user_data.decode()
        print(kinesis["sequenceNumber"], place, key, user_data)
