import { view } from "./api.js";
import { el, bytes, count } from "./dom.js";

// regions draws the regions of each table in the order of their keys: as wide as they are large, coloured by who leads them.
export function regions() {
  const out = el("div.tables");
  const facts = el("div.card.soft", { "aria-live": "polite" }, "A click on a region tells more.");
  const key = el("div.bar");
  return {
    nodes: [el("h1", "Regions"), el("section.card", key, el("br"), out), facts],
    async refresh() {
      const rows = await view("regions");
      const leaders = [...new Set(rows.map((r) => Number(r.LEADER_STORE_ID)))].sort((a, b) => a - b);
      const hue = (r) => `hue${leaders.indexOf(Number(r.LEADER_STORE_ID)) % 8}`;
      key.replaceChildren(el("span.soft", `${count(new Set(rows.map((r) => r.REGION_ID)).size)} regions, led by`), ...leaders.map((id, i) => el("span", el(`span.key.hue${i % 8}`), id ? `store ${id}` : "nobody")));
      out.replaceChildren(...groups(rows).flatMap(([name, list]) => row(name, list, hue, facts)));
    },
  };
}

// groups are the rows of each table; those of its indexes are named.
function groups(rows) {
  const found = new Map();
  for (const r of rows) {
    const name = r.TABLE_NAME ? `${r.DB_NAME}.${r.TABLE_NAME}${r.INDEX_NAME ? ` · ${r.INDEX_NAME}` : ""}` : "outside of tables";
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(r);
  }
  return [...found].sort((a, b) => b[1].length - a[1].length || a[0].localeCompare(b[0]));
}

// bound reads a region's bound, bytes in groups of eight with a mark behind each, as far as it is a key of a table.
function bound(hex) {
  const all = hex.match(/../g) || [];
  const raw = [];
  for (let i = 0; i + 9 <= all.length; i += 9) raw.push(...all.slice(i, i + 8 - (255 - parseInt(all[i + 8], 16))));
  const number = (at) => BigInt(`0x${raw.slice(at, at + 8).join("")}`) - (1n << 63n);
  if (raw[0] !== "74" || raw.length < 9) return hex;
  const table = `table ${number(1)}`;
  if (raw.length === 19 && raw[10] === "72") return `${table}, row ${number(11)}`;
  return raw.length === 9 ? table : `${table}, ${raw.slice(9).join("")}`;
}

const grade = (mib, steps) => steps.filter((s) => mib >= s).length;

function row(name, list, hue, facts) {
  const cells = list.map((r) => {
    const mib = Number(r.APPROXIMATE_SIZE);
    const about = `Region ${r.REGION_ID} · led by store ${r.LEADER_STORE_ID} · ${bytes(mib * 2 ** 20)} · ${count(r.APPROXIMATE_KEYS)} keys`;
    const tell = (e) => {
      document.querySelector(".map .open")?.classList.remove("open");
      e.currentTarget.classList.add("open");
      facts.replaceChildren(el("strong", about), el("pre", `${name}\nfrom  ${bound(r.START_KEY) || "the first key"}\nto    ${bound(r.END_KEY) || "the last key"}`));
    };
    return el(`button.${hue(r)}.w${grade(mib, [2, 24, 72])}`, { type: "button", title: about, "aria-label": about, "data-size": grade(mib, [2, 24, 72]), click: tell });
  });
  const keys = list.reduce((sum, r) => sum + Number(r.APPROXIMATE_KEYS), 0);
  return [el("div", name), el("div.map", cells), el("div.num.soft", `${count(list.length)} ${list.length === 1 ? "region" : "regions"} · ${count(keys)} keys`)];
}
