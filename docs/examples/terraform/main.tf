# The stream, the role's policy, the server's settings, and alarms on the log (--log-format json).
#
#   terraform init && terraform plan

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "stream_name" {
  type    = string
  default = "shop-changes"
}

variable "shard_count" {
  type        = number
  default     = 2
  description = "A shard takes 1 MiB a second."
}

variable "task_role" {
  type        = string
  description = "The name of the role that pg2kinesis has."
}

variable "postgres_family" {
  type    = string
  default = "postgres16"
}

variable "log_group" {
  type    = string
  default = "/pg2kinesis"
}

variable "alarm_actions" {
  type    = list(string)
  default = []
}

resource "aws_kinesis_stream" "changes" {
  name             = var.stream_name
  shard_count      = var.shard_count
  retention_period = 168
  encryption_type  = "KMS"
  kms_key_id       = "alias/aws/kinesis"

  stream_mode_details {
    stream_mode = "PROVISIONED"
  }
}

data "aws_iam_policy_document" "publish" {
  statement {
    actions = [
      "kinesis:DescribeStreamSummary",
      "kinesis:ListShards",
      "kinesis:PutRecord",
    ]
    resources = [aws_kinesis_stream.changes.arn]
  }
}

resource "aws_iam_role_policy" "publish" {
  name   = "publish-changes"
  role   = var.task_role
  policy = data.aws_iam_policy_document.publish.json
}

# Give it to the instance as parameter_group_name; a restart makes it count.
resource "aws_db_parameter_group" "logical" {
  name   = "pg2kinesis-logical"
  family = var.postgres_family

  parameter {
    name         = "rds.logical_replication"
    value        = "1"
    apply_method = "pending-reboot"
  }

  # A slot that nobody reads is lost at this size, and the disk is not full. In MB.
  parameter {
    name  = "max_slot_wal_keep_size"
    value = "102400"
  }
}

resource "aws_cloudwatch_log_group" "log" {
  name              = var.log_group
  retention_in_days = 30
}

locals {
  # What is counted in the log, by the name of its metric. An alarm looks at five minutes, in which the
  # line of every ten seconds comes thirty times.
  log_metrics = {
    Errors       = { pattern = "{ $.level = \"error\" }", value = "1", threshold = 0 }
    Warnings     = { pattern = "{ $.level = \"warning\" }", value = "1", threshold = 10 }
    Disconnected = { pattern = "{ $.state = \"reconnecting\" }", value = "1", threshold = 12 }
    Lag          = { pattern = "{ $.lag_seconds >= 0 }", value = "$.lag_seconds", threshold = 300 }
    RetainedWal  = { pattern = "{ $.retained_wal_bytes >= 0 }", value = "$.retained_wal_bytes", threshold = 10000000000 }
  }
}

resource "aws_cloudwatch_log_metric_filter" "log" {
  for_each       = local.log_metrics
  name           = "pg2kinesis-${each.key}"
  log_group_name = aws_cloudwatch_log_group.log.name
  pattern        = each.value.pattern

  metric_transformation {
    name      = each.key
    namespace = "pg2kinesis"
    value     = each.value.value
  }
}

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each            = local.log_metrics
  alarm_name          = "pg2kinesis-${each.key}"
  namespace           = "pg2kinesis"
  metric_name         = each.key
  statistic           = each.value.value == "1" ? "Sum" : "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = 1
  # Without the line of every ten seconds nothing runs.
  treat_missing_data = each.key == "RetainedWal" ? "breaching" : "notBreaching"
  alarm_actions      = var.alarm_actions
}

output "stream_arn" {
  value = aws_kinesis_stream.changes.arn
}
