import { startKinesalite, type TestKinesis } from "./kinesalite.ts";

export const CALLER = "arn:aws:sts::123456789012:assumed-role/publisher/bastion";

/** A statement of an IAM policy that allows something. */
export interface Allowed {
  readonly Action: readonly string[];
  readonly Resource: string;
}

/** Kinesalite behind a policy, and a token service. */
export interface AwsGate extends AsyncDisposable {
  readonly kinesis: TestKinesis;
  /** What a process needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Undefined: everything is allowed. */
  policy: Allowed[] | undefined;
  /** What is put over the answers of DescribeStreamSummary. */
  summary: Record<string, unknown>;
  /** Operations that were asked for, refused ones too. */
  readonly asked: string[];
}

export async function startAwsGate(): Promise<AwsGate> {
  const kinesis = await startKinesalite();
  const state = { policy: undefined as Allowed[] | undefined, summary: {}, asked: [] as string[] };
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const body = await request.text();
      const target = request.headers.get("x-amz-target");
      if (target === null) return answerSts(body);
      const operation = target.split(".")[1]!;
      state.asked.push(operation);
      if (!allows(state.policy, `kinesis:${operation}`, JSON.parse(body))) {
        return Response.json({
          __type: "AccessDeniedException",
          message: `User: ${CALLER} is not authorized to perform: kinesis:${operation}`,
        }, { status: 400, headers: { "content-type": "application/x-amz-json-1.1" } });
      }
      const headers = new Headers(request.headers);
      headers.delete("content-length");
      const answer = await fetch(kinesis.endpoint, { method: "POST", headers, body });
      const text = await answer.text();
      return new Response(
        operation === "DescribeStreamSummary" && answer.ok
          ? JSON.stringify({
            StreamDescriptionSummary: {
              ...JSON.parse(text).StreamDescriptionSummary,
              ...state.summary,
            },
          })
          : text,
        { status: answer.status, headers: { "content-type": "application/x-amz-json-1.1" } },
      );
    },
  );
  const endpoint = `http://127.0.0.1:${server.addr.port}`;
  return Object.assign(state, {
    kinesis,
    env: { ...kinesis.env, AWS_ENDPOINT_URL_KINESIS: endpoint, AWS_ENDPOINT_URL_STS: endpoint },
    [Symbol.asyncDispose]: async () => {
      await server.shutdown();
      await kinesis[Symbol.asyncDispose]();
    },
  });
}

function allows(
  policy: readonly Allowed[] | undefined,
  action: string,
  { StreamName }: { StreamName?: string },
): boolean {
  return policy === undefined ||
    policy.some(({ Action, Resource }) =>
      Action.includes(action) && Resource.endsWith(`:stream/${StreamName}`) &&
      /^arn:aws:kinesis:us-east-1:\d{12}:/.test(Resource)
    );
}

function answerSts(body: string): Response {
  if (!body.includes("Action=GetCallerIdentity")) return new Response("", { status: 400 });
  return new Response(
    `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
       <GetCallerIdentityResult><Arn>${CALLER}</Arn><UserId>AROA:bastion</UserId>
         <Account>123456789012</Account></GetCallerIdentityResult>
     </GetCallerIdentityResponse>`,
    { headers: { "content-type": "text/xml" } },
  );
}
