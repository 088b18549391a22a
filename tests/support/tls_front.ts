import type { Certificate } from "./certificates.ts";

export interface TlsFront extends AsyncDisposable {
  readonly port: number;
}

/** TLS before a server of this machine that speaks none. */
export function serveTls(certificate: Certificate, targetPort: number): TlsFront {
  const { cert, key } = certificate;
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const open = new Set<Deno.Conn>();
  const accepting = (async () => {
    for (;;) {
      let front: Deno.Conn;
      try {
        front = await listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
          return;
        }
        continue;
      }
      const back = await Deno.connect({ hostname: "127.0.0.1", port: targetPort });
      open.add(front).add(back);
      // Whoever ends first ends both.
      front.readable.pipeTo(back.writable).catch(() => close(back));
      back.readable.pipeTo(front.writable).catch(() => close(front));
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const connection of open) close(connection);
      await accepting;
    },
  };
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed already.
  }
}
