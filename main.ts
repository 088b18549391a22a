// What a run loads, the AWS SDK above all, is named here too: Deno keeps the compiled code only of
// modules that the program begins with. A run starts a fifth sooner by that, help 0.1 s later.
import "./src/run/run.ts";
import { main } from "./src/cli/main.ts";

Deno.exit(await main(Deno.args, Deno.env.toObject()));
