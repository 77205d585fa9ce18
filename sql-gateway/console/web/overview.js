import { get, view } from "./api.js";
import { el, chart, count, duration, bytes, meter, grid } from "./dom.js";

// overview shows what the cluster does now and in the last minutes, and what it is made of.
export function overview() {
  const cards = el("div.cards");
  const stores = el("div");
  const members = el("div");
  return {
    nodes: [el("h1", "Overview"), cards, el("section.card", el("h2", "Stores"), stores), el("section.card", el("h2", "Cluster"), members)],
    async refresh() {
      const [load, storeRows, memberRows, memory] = await Promise.all([get("load"), view("stores"), view("cluster"), view("memory")]);
      cards.replaceChildren(...tiles(load, memory[0]));
      stores.replaceChildren(storeGrid(storeRows));
      members.replaceChildren(memberGrid(memberRows));
    },
  };
}

function tiles(load, memory) {
  const last = load.at(-1) || { qps: 0, p50: 0, p95: 0, p99: 0, connected: 0, running: 0, errors: 0 };
  const tile = (title, big, small, ...series) =>
    el("section.card", el("h2", title), el("div.big", big, small && el("small", small)), series.length ? [chart(series), axis(load)] : null);
  return [
    tile("Statements a second", count(last.qps), last.errors ? `${count(last.errors)} failed` : "", load.map((p) => p.qps)),
    tile("Latency", last.qps ? duration(last.p95) : "–", last.qps ? `p95 · p50 ${duration(last.p50)}` : "no statements now", load.map((p) => p.p95), load.map((p) => p.p50)),
    tile("Connections", count(last.connected), `${count(last.running)} running`, load.map((p) => p.connected)),
    tile("Memory of queries", bytes(memory?.QUERY_MEMORY_CURRENT), `at most ${bytes(memory?.QUERY_MEMORY_MAX)} · process ${bytes(memory?.MEMORY_TOTAL)}`),
  ];
}

function axis(load) {
  if (load.length < 2) return el("div.axis", el("span", "just started"));
  const minutes = Math.max(1, Math.round((load.at(-1).at - load[0].at) / 60_000));
  return el("div.axis", el("span", `${minutes} min ago`), el("span", "now"));
}

const size = (text) => {
  const units = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, PiB: 2 ** 50 };
  const [, n, unit] = /^([\d.e+]+)(\w+)$/.exec(text || "") || [];
  return n ? n * (units[unit] || 1) : 0;
};

function storeGrid(rows) {
  return grid(rows, [
    { name: "Store", get: (r) => Number(r.STORE_ID), num: true },
    { name: "Address", get: (r) => r.ADDRESS },
    { name: "State", get: (r) => r.STORE_STATE_NAME, show: (r) => el(`span.pill.${r.STORE_STATE_NAME === "Up" ? "good" : "bad"}`, r.STORE_STATE_NAME) },
    { name: "Regions", get: (r) => Number(r.REGION_COUNT), num: true },
    { name: "Leaders", get: (r) => Number(r.LEADER_COUNT), num: true },
    { name: "Data", get: (r) => Number(r.REGION_SIZE), num: true, show: (r) => bytes(r.REGION_SIZE * 2 ** 20) },
    { name: "Disk in use", get: (r) => 1 - size(r.AVAILABLE) / size(r.CAPACITY), show: disk },
    { name: "Up for", get: (r) => r.UPTIME },
  ]);
}

function disk(r) {
  const [all, free] = [size(r.CAPACITY), size(r.AVAILABLE)];
  if (!all) return el("span.soft", "not known yet");
  return el("div", { title: `${bytes(free)} of ${bytes(all)} are free` }, meter(1 - free / all), el("span.soft", `${Math.round((1 - free / all) * 100)} % of ${bytes(all)}`));
}

const roles = { tidb: "gateway", pd: "placement driver", tikv: "store" };

function memberGrid(rows) {
  return grid(rows, [
    { name: "Role", get: (r) => roles[r.TYPE] || r.TYPE },
    { name: "Address", get: (r) => r.INSTANCE },
    { name: "Status", get: (r) => r.STATUS_ADDRESS },
    { name: "Version", get: (r) => r.VERSION },
    { name: "Started", get: (r) => (r.START_TIME || "").replace("T", " ").slice(0, 19) },
    { name: "Up for", get: (r) => r.UPTIME },
  ]);
}
