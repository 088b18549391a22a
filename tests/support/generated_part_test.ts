import { assertEquals, assertThrows } from "@std/assert";
import { withGeneratedPart } from "./generated_part.ts";

const [BEGIN, END] = ["<!-- x:begin -->", "<!-- x:end -->"];

Deno.test("withGeneratedPart replaces what is between the markers, and nothing else", () => {
  const fresh = withGeneratedPart(`a\n${BEGIN}\n<stale>\n${END}\nz\n`, "x", "part\n");
  assertEquals(
    fresh,
    `a\n${BEGIN}\n<!-- deno-fmt-ignore-start -->\n\npart\n\n<!-- deno-fmt-ignore-end -->\n${END}\nz\n`,
  );
  assertEquals(withGeneratedPart(fresh, "x", "part\n"), fresh);
  for (const text of ["", BEGIN, END + BEGIN, fresh + fresh]) {
    assertThrows(() => withGeneratedPart(text, "x", ""), Error, "needs one");
  }
});
