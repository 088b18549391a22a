/** `places` and `forms` of a row's bytes, filled column by column, for one row after the other. */
export class ValueSpans {
  places = new Int32Array(2 * 32);
  forms = new Uint8Array(32);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  add(form: number, start: number, end: number): void {
    const index = this.#count++;
    if (index === this.forms.length) {
      const { places, forms } = this;
      this.places = new Int32Array(places.length * 2);
      this.places.set(places);
      this.forms = new Uint8Array(forms.length * 2);
      this.forms.set(forms);
    }
    this.forms[index] = form;
    this.places[2 * index] = start;
    this.places[2 * index + 1] = end;
  }
}
