// The page: which part is shown, and when it asks again.
import { el } from "./dom.js";
import { overview } from "./overview.js";
import { editor } from "./editor.js";
import { statements, slow, running } from "./lists.js";
import { regions } from "./regions.js";

// A part builds its elements once and has them filled by refresh, every so many seconds; 0 is once.
const parts = {
  overview: { make: overview, every: 2 },
  sql: { make: editor, every: 0 },
  statements: { make: statements, every: 0 },
  slow: { make: slow, every: 0 },
  running: { make: running, every: 2 },
  regions: { make: regions, every: 0 },
};

const page = document.getElementById("page");
const state = document.getElementById("state");
let timer = 0;
let turn = 0;

async function show() {
  const name = location.hash.slice(1).split("?")[0];
  const part = parts[name] || parts.overview;
  clearTimeout(timer);
  const mine = ++turn;
  for (const a of document.querySelectorAll("nav a")) {
    if (a.hash === `#${parts[name] ? name : "overview"}`) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  const { nodes, refresh } = part.make();
  page.replaceChildren(...nodes);
  if (refresh) keep(mine, refresh, part.every);
  else tell("");
}

// keep fills the part now, and again as long as it is shown. A tab that nobody looks at asks nothing.
async function keep(mine, refresh, every) {
  try {
    if (!document.hidden) await refresh();
    if (mine === turn) tell(every ? "live" : "");
  } catch (err) {
    if (mine === turn) tell(err instanceof TypeError ? "the gateway does not answer" : err.message, true);
  }
  if (mine === turn && every) timer = setTimeout(() => keep(mine, refresh, every), every * 1000);
}

function tell(text, bad) {
  state.textContent = text;
  state.className = bad ? "bad" : "";
}

addEventListener("hashchange", () => {
  show();
  page.focus({ preventScroll: true });
});
addEventListener("unhandledrejection", (e) => page.prepend(el("p.error", e.reason?.message || String(e.reason))));
show();
