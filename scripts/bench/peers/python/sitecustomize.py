"""Leads the original to the sink: boto3 for Python 2.7 knows no variable for that."""
import os

import boto3

_client = boto3.client


def _local_client(service, **settings):
    return _client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL_KINESIS"], **settings)


boto3.client = _local_client
