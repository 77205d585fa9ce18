import { post, view, SQLError } from "./api.js";
import { el, grid, count, duration } from "./dom.js";
import { plan } from "./plan.js";

const limits = [100, 1000, 10000];
const kept = (name, otherwise) => sessionStorage.getItem(name) ?? otherwise;

// editor runs one statement at a time. What was written stays in the tab.
export function editor() {
  const text = el("textarea", { spellcheck: "false", "aria-label": "SQL statement", placeholder: "SELECT ...\n\nCtrl+Enter runs it. Each run is a session of its own: BEGIN and SET last no longer than it." });
  text.value = kept("sql", "");
  const db = el("select", { "aria-label": "Database" }, el("option", { value: "" }, "no database"));
  const limit = el("select", { "aria-label": "Most rows" }, limits.map((n) => el("option", { value: n, selected: n === 1000 }, `${count(n)} rows`)));
  const button = (label, run, ...classes) => el(["button", "act", ...classes].join("."), { type: "button", click: run }, label);
  const cancel = button("Cancel", () => running?.abort());
  cancel.disabled = true;
  const note = el("span.soft.push");
  const out = el("div");
  let running = null;

  async function run(prefix) {
    const sql = chosen(text);
    if (!sql || running) return;
    running = new AbortController();
    cancel.disabled = false;
    note.textContent = "running ...";
    try {
      const result = await post("query", { sql: prefix + sql, db: db.value, limit: Number(limit.value) }, running.signal);
      note.textContent = summary(result);
      out.replaceChildren(prefix && result.columns.length > 1 ? plan(result) : table(result));
    } catch (err) {
      note.textContent = "";
      out.replaceChildren(failure(err));
    }
    running = null;
    cancel.disabled = true;
  }

  text.addEventListener("input", () => sessionStorage.setItem("sql", text.value));
  text.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) run("");
  });
  db.addEventListener("change", () => sessionStorage.setItem("db", db.value));
  return {
    nodes: [
      el("h1", "SQL"),
      el("section.card", text, el("div.bar", button("Run", () => run(""), "first"), button("Explain", () => run("EXPLAIN ")), button("Explain analyze", () => run("EXPLAIN ANALYZE ")), cancel, db, limit, note)),
      el("section.card", out),
    ],
    async refresh() {
      out.replaceChildren(el("div.empty", "Results come here."));
      for (const { SCHEMA_NAME: name } of await view("databases")) db.append(el("option", { value: name }, name));
      db.value = kept("db", "");
      if (db.selectedIndex < 0) db.value = "";
    },
  };
}

// chosen is the text that is selected, or else all of it, without the semicolon.
function chosen(area) {
  const selected = area.value.slice(area.selectionStart, area.selectionEnd).trim();
  return (selected || area.value).trim().replace(/;\s*$/, "");
}

function summary(r) {
  if (r.affected !== undefined) return `${r.affected < 0 ? "done" : `${count(r.affected)} rows changed`} · ${duration(r.elapsed_ms)}`;
  return `${r.truncated ? "the first " : ""}${count(r.rows.length)} rows · ${duration(r.elapsed_ms)}`;
}

const numeric = /INT|DECIMAL|FLOAT|DOUBLE|YEAR/;

function table(r) {
  if (!r.columns.length) return el("div.empty", "The statement returns no rows.");
  const columns = r.columns.map((c, i) => {
    const num = numeric.test(c.type);
    return { name: c.name, num, get: (row) => (num && row[i] != null ? Number(row[i]) : row[i]), show: (row) => (row[i] == null ? el("span.null", "NULL") : multi(row[i])) };
  });
  const out = grid(r.rows, columns);
  out.classList.add("fit");
  return out;
}

const multi = (v) => (v.includes("\n") || v.length > 120 ? el("pre.wide", v) : v);

function failure(err) {
  if (err.name === "AbortError") return el("div.empty", "Cancelled.");
  const code = err instanceof SQLError && err.code ? `Error ${err.code}${err.state ? ` (${err.state})` : ""}: ` : "";
  return el("div.error", el("span.bad", code), err.message);
}
