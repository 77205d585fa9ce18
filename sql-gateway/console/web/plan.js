import { el, meter, duration, count } from "./dom.js";

const scale = { ns: 1e-6, "µs": 1e-3, us: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6 };

// milliseconds reads the time of an operator: time:1m2.5s at the gateway, proc:30.1ms in the stores.
export function milliseconds(info) {
  const found = /(?:time|proc):\s?([\d.a-zµ]+)/.exec(info || "");
  if (!found) return null;
  let sum = 0;
  for (const [, n, unit] of found[1].matchAll(/([\d.]+)(ns|µs|us|ms|s|m|h)/g)) sum += n * scale[unit];
  return sum;
}

// plan draws what EXPLAIN or EXPLAIN ANALYZE returned: a line for each operator, where it ran, and how long it took.
export function plan(result) {
  const at = Object.fromEntries(result.columns.map((c, i) => [c.name, i]));
  const measured = "actRows" in at;
  const times = result.rows.map((r) => (measured ? milliseconds(r[at["execution info"]]) : null));
  const most = Math.max(...times, 0);
  const rows = result.rows.map((r, i) => line(r, at, measured, times[i], most));
  const titles = ["Operator", "Where", ...(measured ? ["Rows", "Estimated", "Time", "Memory"] : ["Estimated"]), "On", "What"];
  return el("div", el("div.scroll", el("table.plan", el("thead", el("tr", titles.map((t) => el(/Rows|Est|Mem/.test(t) ? "th.num" : "th", { scope: "col" }, t)))), el("tbody", rows))), legend(measured));
}

function line(r, at, measured, time, most) {
  const cop = r[at.task].startsWith("cop");
  const cells = [
    el("td.tree", r[at.id]),
    el("td", el(`span.where.${cop ? "cop" : "root"}`, cop ? "store" : "gateway")),
    measured && el("td.num", count(Number(r[at.actRows]))),
    el("td.num.soft", count(Number(r[at.estRows]))),
    measured && el("td.time", time == null ? "" : [meter(most ? time / most : 0), el("span.soft", duration(time))]),
    measured && el("td.num.soft", r[at.memory] === "N/A" ? "" : r[at.memory]),
    el("td.on", r[at["access object"]]),
    el("td.info", { title: measured ? r[at["execution info"]] : null }, r[at["operator info"]]),
  ];
  return el(cop ? "tr.cop-row" : "tr", cells);
}

const legend = (measured) =>
  el("p.soft", measured ? "The time of an operator has that of those below it. Operators in stores ran once for each region; theirs is the sum." : "Estimates alone: Explain analyze runs the statement and measures.");

// planText is a plan as the gateway keeps it with slow statements: lines with tabs between columns.
export function planText(text) {
  const [header, ...rows] = text.split("\n").map((l) => l.split("\t"));
  return plan({ columns: header.map((name) => ({ name })), rows });
}
