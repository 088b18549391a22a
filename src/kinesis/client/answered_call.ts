import type {
  HttpAnswer,
  HttpHandler,
  SdkRequest,
  SdkRequestOptions,
} from "../../aws/http_handler.ts";

/** Among the options of a call of the SDK's: what answers in the place of the network. */
export interface AnsweredCall extends SdkRequestOptions {
  readonly answer: (request: SdkRequest) => Promise<HttpAnswer>;
}

/** A handler of the SDK's that asks the network only for calls that do not bring their answer. */
export class AnsweringHandler {
  readonly metadata;

  constructor(private readonly network: HttpHandler) {
    this.metadata = network.metadata;
  }

  async handle(request: SdkRequest, options: SdkRequestOptions | AnsweredCall = {}) {
    return "answer" in options
      ? { response: await options.answer(request) }
      : await this.network.handle(request, options);
  }

  destroy(): void {
    this.network.destroy();
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }
}
