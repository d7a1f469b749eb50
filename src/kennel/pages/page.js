// What a page does beyond being read: tables sort, and a mark says what it is and stands out in every
// chart. Nothing is said here alone: without this script the titles and the tables say the same.
"use strict";
(() => {
  const said = document.getElementById("said");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  // Tables.
  const collator = new Intl.Collator("en", { numeric: true });
  const by = (row, column) => row.cells[column].dataset.by ?? row.cells[column].textContent;

  function sort(table, column, direction) {
    const head = table.tHead.rows[0].cells[column];
    const numeric = head.classList.contains("number");
    const sign = direction === "ascending" ? 1 : -1;
    const compare = numeric ? (a, b) => a - b : collator.compare;
    const rows = [...table.tBodies[0].rows].map((row) => [by(row, column), row]);
    rows.sort(([a], [b]) => (a === "") - (b === "") || sign * compare(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    said.textContent = `Sorted by ${head.textContent}, ${direction}`;
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        sort(table, column, now === "ascending" ? "descending" : "ascending");
      });
    });
  }

  // On paper nothing can be unfolded.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open])")];
    for (const each of unfolded) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of unfolded) each.open = false;
  });

  // Marks. Titles move into a map, or the browser's own tooltip would come as well.
  const titles = new Map();
  const marks = new Map();
  const rows = new Map();
  for (const row of document.querySelectorAll("tr[data-key]")) {
    if (!rows.has(row.dataset.key)) rows.set(row.dataset.key, []);
    rows.get(row.dataset.key).push(row);
    row.addEventListener("pointerenter", () => light(row.dataset.key));
    row.addEventListener("pointerleave", () => light(null));
  }
  for (const mark of document.querySelectorAll(".plot [data-key]")) {
    const title = mark.querySelector("title");
    titles.set(mark, title.textContent);
    title.remove();
    if (!marks.has(mark.dataset.key)) marks.set(mark.dataset.key, []);
    marks.get(mark.dataset.key).push(mark);
  }

  let lit = null;
  function light(key) {
    if (key === lit) return;
    const mine = (key) => [...(marks.get(key) ?? []), ...(rows.get(key) ?? [])];
    for (const each of mine(lit)) each.classList.remove("on");
    lit = key;
    for (const each of mine(lit)) each.classList.add("on");
    for (const plot of document.querySelectorAll(".plot.lit")) plot.classList.remove("lit");
    for (const mark of marks.get(lit) ?? []) mark.closest(".plot").classList.add("lit");
  }

  function tell(mark, at) {
    tip.replaceChildren();
    const name = document.createElement("b");
    name.textContent = titles.get(mark);
    tip.append(name);
    const [row] = rows.get(mark.dataset.key) ?? [];
    if (row) tip.append(facts(row));
    tip.hidden = false;
    const width = document.documentElement.clientWidth;
    const left = Math.min(Math.max(at.x - tip.offsetWidth / 2, 8), width - tip.offsetWidth - 8);
    const above = at.y - tip.offsetHeight - 14;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above > 0 ? above : at.y + 14) + scrollY}px`;
    light(mark.dataset.key);
  }

  function facts(row) {
    const list = document.createElement("dl");
    const heads = row.closest("table").tHead.rows[0].cells;
    [...row.cells].forEach((cell, column) => {
      if (!cell.textContent.trim() || column === 0) return;
      const [name, value] = [document.createElement("dt"), document.createElement("dd")];
      name.textContent = heads[column].textContent;
      value.textContent = cell.textContent;
      list.append(name, value);
    });
    return list;
  }

  function hush() {
    tip.hidden = true;
    light(null);
  }

  // Places of a mark's corners on the screen, inside the box of its chart.
  function corners(mark, box) {
    const points = mark.hasAttribute("points")
      ? mark.getAttribute("points").split(" ").map((pair) => pair.split(",").map((n) => n / 1000))
      : [["x", "y"].map((name) => parseFloat(mark.getAttribute(name)) / 100)];
    return points.map(([x, y]) => ({ x: box.left + x * box.width, y: box.top + y * box.height }));
  }

  // Where a mark is spoken of: the end of a line, the middle of an area, a dot.
  function middle(mark, box) {
    const points = corners(mark, box);
    if (mark.localName !== "polygon") return points[points.length - 1];
    const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
    return { x: (Math.min(...xs) + Math.max(...xs)) / 2, y: Math.min(...ys) };
  }

  // From a point to the nearest place of a segment.
  function distance(p, a, b) {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const length = dx * dx + dy * dy;
    const t = length ? Math.min(Math.max(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0), 1) : 0;
    return Math.hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
  }

  function away(p, mark, box) {
    const points = corners(mark, box);
    let least = distance(p, points[0], points[0]);
    for (let i = 1; i < points.length; i++) {
      least = Math.min(least, distance(p, points[i - 1], points[i]));
    }
    return least;
  }

  for (const plot of document.querySelectorAll(".plot")) {
    const own = [...plot.querySelectorAll("[data-key]")];
    if (!own.length) continue;
    const svg = plot.querySelector("svg");
    const reach = own[0].localName === "use" ? 24 : 12;
    plot.tabIndex = 0;
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-label", `${plot.dataset.name}: arrow keys walk through what it shows`);
    let current = Math.max(own.findIndex((mark) => mark.classList.contains("first")), 0);

    function show(mark, at) {
      current = own.indexOf(mark);
      tell(mark, at ?? middle(mark, svg.getBoundingClientRect()));
    }
    function point(event) {
      const box = svg.getBoundingClientRect();
      const p = { x: event.clientX, y: event.clientY };
      let [nearest, least] = [null, reach];
      for (const mark of own) {
        if (mark.localName === "polygon") continue; // it is pointed at from within
        const far = away(p, mark, box);
        if (far <= least) [nearest, least] = [mark, far];
      }
      if (nearest) show(nearest);
      else if (event.target.localName === "polygon" && own.includes(event.target)) {
        show(event.target, p);
      } else hush();
    }
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hush());
    plot.addEventListener("blur", hush);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Home") current = 0;
      else if (event.key === "End") current = own.length - 1;
      else if (step === undefined) return;
      else if (!tip.hidden) current = (current + step + own.length) % own.length;
      event.preventDefault();
      show(own[current]);
      said.textContent = tip.textContent && [titles.get(own[current]),
        ...[...tip.querySelectorAll("dt")].map((name) => `${name.textContent} ${name.nextSibling.textContent}`),
      ].join(", ");
    });
  }

  // A legend's names make what they name stand out.
  for (const name of document.querySelectorAll(".names [data-key]")) {
    const show = () => light(name.dataset.key);
    const leave = () => document.activeElement !== name && light(null);
    name.addEventListener("pointerenter", show);
    name.addEventListener("focus", show);
    name.addEventListener("pointerleave", leave);
    name.addEventListener("blur", () => light(null));
  }
  addEventListener("keydown", (event) => event.key === "Escape" && hush());
})();
