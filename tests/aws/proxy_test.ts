import { assertEquals, assertThrows } from "@std/assert";
import { proxyFor } from "../../src/aws/proxy.ts";
import { RunError } from "../../src/base/errors.ts";

const KINESIS = "https://kinesis.eu-west-1.amazonaws.com/";

function found(env: Record<string, string>, target = KINESIS): string | undefined {
  return proxyFor(new URL(target), env)?.url;
}

Deno.test("proxyFor takes the variable of the target's scheme, else ALL_PROXY, in any letters", () => {
  const all = { ALL_PROXY: "http://all:1", HTTPS_PROXY: "http://s:2", HTTP_PROXY: "http://h:3" };
  assertEquals(found(all), "http://s:2");
  assertEquals(found(all, "http://127.0.0.1:4567/"), "http://h:3");
  assertEquals(found({ all_proxy: "socks5://all" }), "socks5://all:1080");
  assertEquals(found({ https_proxy: "proxy.example.com:3128" }), "http://proxy.example.com:3128");
  assertEquals(found({ HTTPS_PROXY: "", https_proxy: "https://p" }), "https://p:443");
  assertEquals(found({ HTTP_PROXY: "http://h:3" }), undefined);
  assertEquals(found({}), undefined);
});

Deno.test("proxyFor reads user and password apart from the URL, percent signs as they are meant", () => {
  const auth = (url: string) => proxyFor(new URL(KINESIS), { HTTPS_PROXY: url })!;
  assertEquals(auth("http://me:p%40ss%@proxy:3128"), {
    url: "http://proxy:3128",
    basicAuth: { username: "me", password: "p%40ss%" },
    variable: "HTTPS_PROXY",
  });
  assertEquals(auth("http://me:p%40ss@proxy:3128").basicAuth?.password, "p@ss");
  assertEquals(auth("http://me@proxy:3128").basicAuth, { username: "me", password: "" });
});

Deno.test("proxyFor refuses what is no proxy, without its password", () => {
  for (const value of ["ftp://me:secret@proxy", "http://", "http://me:secret@pro xy:1", "a b"]) {
    const error = assertThrows(() => found({ HTTPS_PROXY: value }), RunError, "HTTPS_PROXY");
    assertEquals(error.message.includes("secret"), false);
  }
});

Deno.test("proxyFor exempts what NO_PROXY names", () => {
  const exempts = (list: string, target: string) =>
    found({ HTTPS_PROXY: "http://p:1", no_proxy: list }, target) === undefined;
  const yes: [string, string][] = [
    ["*", KINESIS],
    ["amazonaws.com", KINESIS],
    [".amazonaws.com", KINESIS],
    ["*.amazonaws.com", KINESIS],
    ["localhost kinesis.eu-west-1.amazonaws.com", KINESIS],
    ["x, KINESIS.eu-west-1.AMAZONAWS.com:443 ,", KINESIS],
    ["10.0.0.0/8", "https://10.200.3.4/"],
    ["127.0.0.1:4567", "https://127.0.0.1:4567/"],
    ["fd00::/8", "https://[fd00:ec2::254]/"],
    ["[::1]:443", "https://[::1]/"],
  ];
  for (const [list, target] of yes) assertEquals(exempts(list, target), true, `${list} ${target}`);
  const no: [string, string][] = [
    ["", KINESIS],
    ["zonaws.com", KINESIS],
    ["kinesis.eu-west-1.amazonaws.com:444", KINESIS],
    ["eu-west-1", KINESIS],
    ["10.0.0.0/8", "https://11.0.0.1/"],
    ["10.0.0.0/99", "https://10.0.0.1/"],
    ["0.0.0.1", "https://10.0.0.1/"],
    ["::/0", "https://10.0.0.1/"],
  ];
  for (const [list, target] of no) assertEquals(exempts(list, target), false, `${list} ${target}`);
});
