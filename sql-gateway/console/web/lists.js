import { view, post } from "./api.js";
import { el, grid, count, duration, bytes } from "./dom.js";
import { planText } from "./plan.js";

// list is a part that consists of one table, with what is asked for behind it.
function list(title, about, name, make) {
  const out = el("div");
  const refresh = async () => out.replaceChildren(make(await view(name), refresh));
  const again = el("button.act.small", { type: "button", click: refresh }, "Refresh");
  return { nodes: [el("h1", title), el("section.card", el("div.bar", el("span.soft", about), el("span.push"), again), el("br"), out)], refresh };
}

const one = (text) => (text || "").replace(/\s+/g, " ");

function details(sql, planned, ...facts) {
  return el("div", el("p.soft", facts.filter(Boolean).join(" · ")), el("pre", sql), planned ? [el("br"), planText(planned)] : null);
}

const ns = (n) => duration(n / 1e6);

export function statements() {
  return list("Statements", "What this gateway has executed since it started, by kind: literals are taken out. The costliest come first.", "statements", (rows) => {
    const total = rows.reduce((sum, r) => sum + Number(r.SUM_LATENCY), 0) || 1;
    return grid(rows, [
      { name: "Statement", get: (r) => one(r.DIGEST_TEXT), clip: true },
      { name: "Database", get: (r) => r.SCHEMA_NAME || "" },
      { name: "Times", get: (r) => Number(r.EXEC_COUNT), num: true, show: (r) => count(r.EXEC_COUNT) },
      { name: "Failed", get: (r) => Number(r.SUM_ERRORS), num: true, show: (r) => (r.SUM_ERRORS > 0 ? el("span.bad", count(r.SUM_ERRORS)) : "") },
      { name: "Mean", get: (r) => Number(r.AVG_LATENCY), num: true, show: (r) => ns(r.AVG_LATENCY) },
      { name: "Longest", get: (r) => Number(r.MAX_LATENCY), num: true, show: (r) => ns(r.MAX_LATENCY) },
      { name: "All", get: (r) => Number(r.SUM_LATENCY), num: true, show: (r) => ns(r.SUM_LATENCY) },
      { name: "Share", get: (r) => Number(r.SUM_LATENCY), num: true, show: (r) => `${((r.SUM_LATENCY / total) * 100).toFixed(1)} %` },
      { name: "Keys read", get: (r) => Number(r.AVG_TOTAL_KEYS), num: true, show: (r) => count(r.AVG_TOTAL_KEYS) },
      { name: "Memory", get: (r) => Number(r.MAX_MEM), num: true, show: (r) => (r.MAX_MEM > 0 ? bytes(r.MAX_MEM) : "") },
    ], (r) => details(r.QUERY_SAMPLE_TEXT, r.PLAN, `digest ${r.DIGEST.slice(0, 16)}`, `last seen ${r.LAST_SEEN}`,
      `${count(r.AVG_RESULT_ROWS)} rows returned`, Number(r.AVG_AFFECTED_ROWS) ? `${count(r.AVG_AFFECTED_ROWS)} changed` : "", "the slowest of its kind:"));
  });
}

const seconds = (s) => duration(s * 1000);

export function slow() {
  return list("Slow queries", "From the slow log, the newest first. SET GLOBAL long_query_time says what is slow.", "slow", (rows) =>
    grid(rows, [
      { name: "Ended", get: (r) => r.TIME, show: (r) => el("span.mono", r.TIME.slice(0, 19)) },
      { name: "Statement", get: (r) => one(r.QUERY), clip: true },
      { name: "Database", get: (r) => r.DB || "" },
      { name: "User", get: (r) => r.USER },
      { name: "Time", get: (r) => Number(r.QUERY_TIME), num: true, show: (r) => seconds(r.QUERY_TIME) },
      { name: "In stores", get: (r) => Number(r.PROCESS_TIME), num: true, show: (r) => (r.PROCESS_TIME > 0 ? seconds(r.PROCESS_TIME) : "") },
      { name: "Keys read", get: (r) => Number(r.TOTAL_KEYS), num: true, show: (r) => count(r.TOTAL_KEYS) },
      { name: "Memory", get: (r) => Number(r.MEM_MAX), num: true, show: (r) => (r.MEM_MAX > 0 ? bytes(r.MEM_MAX) : "") },
      { name: "Outcome", get: (r) => r.SUCC, show: (r) => (r.SUCC === "1" ? el("span.pill.good", "done") : el("span.pill.bad", "failed")) },
    ], (r) => details(r.QUERY, r.PLAN, `connection ${r.CONN_ID} from ${r.HOST}`, `parsed in ${seconds(r.PARSE_TIME)}`, `planned in ${seconds(r.COMPILE_TIME)}`,
      `${r.COP_TASKS} requests to stores`, `${count(r.ROWS_SENT)} rows returned`)));
}

export function running() {
  return list("Running", "Connections of this gateway and what they do.", "running", (rows, refresh) =>
    grid(rows, [
      { name: "Id", get: (r) => Number(r.ID), num: true },
      { name: "Client", get: (r) => `${r.USER} @ ${r.HOST}` },
      { name: "Database", get: (r) => r.DB || "" },
      { name: "State", get: (r) => r.STATE || r.COMMAND, show: (r) => el(r.COMMAND === "Sleep" ? "span.pill" : "span.pill.good", r.COMMAND === "Sleep" ? "idle" : r.STATE) },
      { name: "For", get: (r) => Number(r.TIME), num: true, show: (r) => (r.TIME > 0 ? seconds(r.TIME) : "< 1 s") },
      { name: "Transaction since", get: (r) => (r.TXNSTART || "").replace(/\(.*/, "") },
      { name: "Memory", get: (r) => Number(r.MEM), num: true, show: (r) => (r.MEM > 0 ? bytes(r.MEM) : "") },
      { name: "Statement", get: (r) => one(r.INFO), show: (r) => el("span.wide.mono", one(r.INFO).slice(0, 600)) },
      { name: "", show: (r) => r.COMMAND !== "Sleep" && el("button.act.small", { type: "button", click: () => kill(r, refresh) }, "Kill") },
    ]));
}

async function kill(row, refresh) {
  if (!confirm(`End the statement of connection ${row.ID}?`)) return;
  await post("kill", { id: Number(row.ID) });
  await refresh();
}
