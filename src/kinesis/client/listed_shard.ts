/** What ListShards gives for one shard, as far as it is needed here. */
export interface ListedShard {
  readonly ShardId?: string | undefined;
  /** The shard it was split from, or one of two that were merged into it. */
  readonly ParentShardId?: string | undefined;
  /** The other one of two that were merged into it. */
  readonly AdjacentParentShardId?: string | undefined;
  readonly HashKeyRange?: {
    readonly StartingHashKey?: string | undefined;
    readonly EndingHashKey?: string | undefined;
  } | undefined;
  readonly SequenceNumberRange?: {
    readonly EndingSequenceNumber?: string | undefined;
  } | undefined;
}
