// What the console asks the gateway. Every request carries a header that pages of others cannot add.

const headers = { "X-Scree-Console": "1" };

export class SQLError extends Error {
  constructor(problem) {
    super(problem.message);
    this.code = problem.code;
    this.state = problem.state;
  }
}

async function answer(response) {
  const type = response.headers.get("Content-Type") || "";
  if (!type.includes("json")) throw new Error((await response.text()).trim() || response.statusText);
  const doc = await response.json();
  if (!response.ok) throw new SQLError(doc);
  return doc;
}

export const get = async (path) => answer(await fetch(`/api/${path}`, { headers }));

export const post = async (path, body, signal) =>
  answer(await fetch(`/api/${path}`, { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body), signal }));

// view gives the rows of a fixed query as objects.
export async function view(name) {
  const { columns, rows } = await get(name);
  return rows.map((row) => Object.fromEntries(row.map((v, i) => [columns[i].name, v])));
}
