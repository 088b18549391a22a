import { AwsJson1_1Protocol } from "@aws-sdk/core/protocols";
import { CborCodec } from "@smithy/core/cbor";

type ProtocolOptions = ConstructorParameters<typeof AwsJson1_1Protocol>[0];

/**
 * The service's CBOR 1.1 wire, which AWS's Java SDK speaks by default: the same calls as in JSON 1.1,
 * written as CBOR (RFC 8949), so that bytes go as bytes and not as base64. It is not Smithy's RPC v2
 * CBOR. Only for calls without times: see `cbor_client.ts`.
 */
export class CborProtocol extends AwsJson1_1Protocol {
  constructor(options: ProtocolOptions) {
    // The codecs have the same methods; the type asks for one of the two.
    super({ ...options, jsonCodec: new ErrorReadingCodec() as never });
  }

  override async serializeRequest(
    ...args: Parameters<AwsJson1_1Protocol["serializeRequest"]>
  ): Promise<Awaited<ReturnType<AwsJson1_1Protocol["serializeRequest"]>>> {
    const request = await super.serializeRequest(...args);
    request.headers["content-type"] = "application/x-amz-cbor-1.1";
    return request;
  }
}

/** The JSON protocol reads the members of an error by a method that CBOR's has under another name. */
class ErrorReadingCodec extends CborCodec {
  override createDeserializer() {
    const deserializer = super.createDeserializer();
    return Object.assign(deserializer, {
      readObject: deserializer.readValue.bind(deserializer),
    });
  }
}
