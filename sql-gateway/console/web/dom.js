// Small helpers to build the page. Text always becomes text nodes, never markup.

// el makes an element: el("td.num", {title: "x"}, children...). Functions among the properties are listeners.
export function el(spec, ...rest) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const part of rest) fill(node, part);
  return node;
}

function fill(node, part) {
  if (part == null || part === false) return;
  if (Array.isArray(part)) part.forEach((p) => fill(node, p));
  else if (part instanceof Node) node.append(part);
  else if (typeof part === "object") setAll(node, part);
  else node.append(String(part));
}

function setAll(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
}

const svgSpace = "http://www.w3.org/2000/svg";

export function svg(tag, props, ...children) {
  const node = document.createElementNS(svgSpace, tag);
  setAll(node, props);
  node.append(...children);
  return node;
}

// meter is a bar that is filled to a share of its width.
export function meter(share) {
  const width = Math.max(0, Math.min(1, share || 0)) * 100;
  return el("div.meter", svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, svg("rect", { width, height: 6 })));
}

// chart draws lines over the same points in time, the first with its area.
export function chart(series, top) {
  const n = Math.max(...series.map((s) => s.length), 2);
  const most = top || Math.max(...series.flat(), 0) || 1;
  const line = (values) => values.map((v, i) => `${i ? "L" : "M"}${((i / (n - 1)) * 300).toFixed(1)} ${(60 - (v / most) * 58).toFixed(1)}`).join("");
  const box = svg("svg", { class: "spark", viewBox: "0 0 300 62", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 300, y1: 60, y2: 60 }));
  series.forEach((values, i) => {
    if (!values.length) return;
    if (!i) box.append(svg("path", { class: "area", d: `${line(values)}L${(((values.length - 1) / (n - 1)) * 300).toFixed(1)} 60L0 60Z` }));
    box.append(svg("path", { class: i ? "second" : "first", d: line(values) }));
  });
  return box;
}

// grid is a table of objects. columns: {name, get, num, clip, show}. more(row) gives what a click on a row unfolds.
export function grid(rows, columns, more, order) {
  const body = el("tbody");
  let by = order || null;
  const table = el("table", el("thead", el("tr", columns.map(head))), body);
  draw();
  return el("div.scroll.tall", table);

  function head(c) {
    const sort = () => {
      by = { column: c, down: by && by.column === c ? !by.down : !!c.num };
      draw();
    };
    return el(c.num ? "th.num" : "th", { scope: "col" }, c.get ? el("button", { type: "button", click: sort }, c.name) : c.name);
  }

  function draw() {
    const list = [...rows];
    if (by) list.sort((a, b) => compare(by.column.get(a), by.column.get(b)) * (by.down ? -1 : 1));
    body.replaceChildren(...list.map(line));
    if (!list.length) body.append(el("tr", el("td.empty", { colspan: columns.length }, "Nothing to show.")));
  }

  function line(row) {
    const cells = columns.map((c) => el(c.num ? "td.num" : c.clip ? "td.clip" : "td", c.show ? c.show(row) : c.get(row)));
    const tr = el("tr", cells);
    if (!more) return tr;
    tr.dataset.more = "";
    tr.tabIndex = 0;
    const toggle = () => {
      const opened = tr.classList.toggle("open");
      if (opened) tr.after(el("tr.open", el("td", { colspan: columns.length }, more(row))));
      else tr.nextSibling.remove();
    };
    tr.addEventListener("click", toggle);
    tr.addEventListener("keydown", (e) => e.key === "Enter" && toggle());
    return tr;
  }
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a ?? "").localeCompare(String(b ?? ""));
}

// Numbers for people.
export const count = (n) => Number(n || 0).toLocaleString("en-US", { maximumFractionDigits: n < 10 ? 1 : 0 });

export function duration(ms) {
  ms = Number(ms || 0);
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 1000) return `${ms.toPrecision(3)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toPrecision(3)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export function bytes(n) {
  n = Number(n || 0);
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i ? n.toPrecision(3) : n} ${units[i]}`;
}
