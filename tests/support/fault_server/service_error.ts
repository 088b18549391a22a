/** An error as the service gives it: the SDK makes the same of it, over HTTP or not. */
export class ServiceError extends Error {
  readonly $metadata: { readonly httpStatusCode: number };

  /** `type` is the service's name for it, such as `ResourceNotFoundException`. */
  constructor(type: string, message: string, readonly status = 400) {
    super(message);
    this.name = type;
    this.$metadata = { httpStatusCode: status };
  }
}

export function notFound(what: string): ServiceError {
  return new ServiceError("ResourceNotFoundException", `${what} not found.`);
}

export function invalid(message: string): ServiceError {
  return new ServiceError("InvalidArgumentException", message);
}

export function throttled(shardId: string): ServiceError {
  return new ServiceError(
    "ProvisionedThroughputExceededException",
    `Rate exceeded for shard ${shardId}.`,
  );
}
