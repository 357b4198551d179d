/**
 * A table whose rows are kept by key: what has not changed is left alone, so that a row under the
 * pointer or the focus survives the next answer.
 */

import { el, setText } from "./dom.js";

export class Table {
  /**
   * @param {{
   *   label: string,
   *   key: (item: any) => string,
   *   columns: {title: string, class?: string, text?: (item: any) => string,
   *     hint?: (item: any) => string, node?: (item: any) => Node,
   *     version?: (item: any) => string}[],
   *   empty: string,
   * }} options `text` is written anew each time, `node` when its `version` changes; the first
   *   column heads its row
   */
  constructor({ label, key, columns, empty }) {
    this.key = key;
    this.columns = columns;
    this.rows = new Map();
    // Roles are said, because narrow pages show rows as cards, and then browsers forget them.
    this.body = el("tbody", { role: "rowgroup" });
    const heads = columns.map(({ title, class: name }) =>
      el("th", { scope: "col", role: "columnheader", class: name }, title || el("span", { class: "hidden-text" }, "Actions")),
    );
    this.scroll = el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": `${label}, as a table` },
      el("table", { role: "table" }, el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)), this.body),
    );
    this.empty = el("p", { class: "empty", hidden: true }, empty);
    this.element = el("div", { class: "table-box" }, this.scroll, this.empty);
  }

  show(items) {
    this.scroll.hidden = !items.length;
    this.empty.hidden = items.length > 0;
    const keys = new Set(items.map(this.key));
    for (const [key, row] of this.rows) if (!keys.has(key)) this.#replace(() => row.element.remove());
    const shown = new Map();
    let place = this.body.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      const row = this.rows.get(key) ?? this.#make(item);
      shown.set(key, row);
      this.#update(row, item);
      if (row.element === place) place = place.nextElementSibling;
      else this.body.insertBefore(row.element, place);
    }
    this.rows = shown;
  }

  /** Do something that may take the focused element away: then the table has the focus. */
  #replace(step) {
    const inside = this.body.contains(document.activeElement);
    step();
    if (inside && !this.body.contains(document.activeElement)) this.scroll.focus({ preventScroll: true });
  }

  #make() {
    const cells = this.columns.map(({ title, class: name }, i) =>
      i
        ? el("td", { role: "cell", class: name, "data-label": title })
        : el("th", { scope: "row", role: "rowheader", class: name }),
    );
    return { element: el("tr", { role: "row" }, ...cells), cells, versions: [] };
  }

  #update(row, item) {
    this.columns.forEach((column, i) => {
      const cell = row.cells[i];
      if (column.text) {
        setText(cell, column.text(item));
        if (column.hint) cell.title = column.hint(item);
        return;
      }
      const version = column.version?.(item) ?? "";
      if (row.versions[i] === version) return;
      row.versions[i] = version;
      this.#replace(() => cell.replaceChildren(column.node(item)));
    });
  }
}
