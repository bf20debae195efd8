"use strict";
// Conveniences only. Without this script everything is shown, in the order it was written.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // Sorting: a button in each column heading.
  const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
  const value = (text) => {
    const day = text.match(/^(\d{1,2})\s(\p{L}+)(?:\s(\d{4}))?$/u);
    if (day && months.includes(day[2])) return Number(day[3] || 0) * 372 + months.indexOf(day[2]) * 31 + Number(day[1]);
    const digits = text.replaceAll(",", "").match(/\d+(\.\d+)?/);
    return digits ? (/^[-\u2212]/.test(text) ? -1 : 1) * Number(digits[0]) : NaN;
  };
  const sort = (table, column, button) => {
    const heading = button.parentElement;
    const numeric = heading.classList.contains("number") || heading.classList.contains("count");
    const before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numeric;
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => {
      const text = row.cells[column] ? row.cells[column].textContent.trim() : "";
      return { row, text, number: value(text) };
    });
    const byNumber = numeric || rows.every(({ text, number }) => !/\p{L}{2}/u.test(text.replace(/^\d{1,2}\s\p{L}+/u, "")) && !Number.isNaN(number));
    rows.sort((a, b) => {
      if (byNumber) {
        // What has no number stays last, whichever way.
        if (Number.isNaN(a.number) || Number.isNaN(b.number)) return Number.isNaN(a.number) - Number.isNaN(b.number);
        return (a.number - b.number) * (down ? -1 : 1);
      }
      return a.text.localeCompare(b.text, document.documentElement.lang, { numeric: true }) * (down ? -1 : 1);
    });
    body.append(...rows.map(({ row }) => row));
  };
  for (const table of all("table:not(.actions)")) {
    // A few rows are read faster than sorted.
    if (!table.tHead || table.tBodies[0].rows.length < 4) continue;
    all("th[scope=col]", table.tHead).forEach((heading, column) => {
      const button = make("button", { type: "button", className: "sort" }, ...heading.childNodes);
      button.addEventListener("click", () => sort(table, column, button));
      heading.append(button);
    });
  }

  // One button for all code.
  for (const fold of all("#method")) {
    const parts = all("details.code", fold);
    if (!parts.length) continue;
    const button = make("button", { type: "button", className: "tool", textContent: "Open all code" });
    button.addEventListener("click", () => {
      const open = parts.some((part) => !part.open);
      parts.forEach((part) => { part.open = open; });
      button.textContent = open ? "Close all code" : "Open all code";
    });
    fold.querySelector("summary").after(button);
  }

  // A filter over the runs.
  for (const list of all("[data-filter]")) {
    const runs = all("[data-run]", list);
    const folds = all("details", list).map((fold) => ({ fold, open: fold.open }));
    const field = make("input", { type: "search", id: "filter", autocomplete: "off" });
    const count = make("span", { className: "small", role: "status" });
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const run of runs) {
        const text = run.textContent.toLowerCase();
        run.hidden = !words.every((word) => text.includes(word));
        shown += run.hidden ? 0 : 1;
      }
      all("[data-group]", list).forEach((group) => { group.hidden = !group.querySelector("[data-run]:not([hidden])"); });
      folds.forEach(({ fold, open }) => { fold.open = words.length ? true : open; });
      count.textContent = words.length ? `${shown} of ${runs.length} runs` : "";
    });
    list.querySelector("summary").after(
      make("p", { className: "filter" }, make("label", { htmlFor: "filter", textContent: list.dataset.filter }), field, count),
    );
  }
})();
