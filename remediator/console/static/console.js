// The console works without this module; with it, commands are copied, times stay current, and changes show up.

document.documentElement.classList.add("js");

// Copying: a button with data-copy copies that text, one with data-copy-address the address of the page.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = Object.assign(document.createElement("textarea"), { value: text, className: "offscreen" });
  document.body.append(field); // over plain http there is no clipboard but by selection
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("refused");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy], button[data-copy-address]");
  if (!button) return;
  const words = (button.dataset.words ??= button.textContent);
  try {
    await copy(button.dataset.copy ?? location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it to copy";
  }
  setTimeout(() => (button.textContent = words), 2000);
});

// Relative times, in the words of remediator/console/times.py.
const UNITS = [["d", 86400, "h", 3600], ["h", 3600, "min", 60]];

function span(seconds) {
  for (const [unit, size, next, nextSize] of UNITS) {
    if (seconds < size) continue;
    const rest = Math.floor((seconds % size) / nextSize);
    return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${next}` : ""}`;
  }
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const rest = seconds < 600 ? Math.floor(seconds % 60) : 0;
  return `${Math.floor(seconds / 60)} min${rest ? ` ${rest} s` : ""}`;
}

export function relative(since, now = Date.now()) {
  const seconds = (now - Date.parse(since)) / 1000;
  if (Math.abs(seconds) < 5) return "now";
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

function refreshTimes() {
  if (document.hidden) return;
  for (const each of document.querySelectorAll("[data-since]")) each.textContent = relative(each.dataset.since);
}

refreshTimes();
setInterval(refreshTimes, 5000);
document.addEventListener("visibilitychange", refreshTimes);

// Live changes: one stream per page tells when the ledger has changed; the page then fetches itself again.
const live = document.getElementById("live");
const POLL = 10_000;
const EDITABLE = "input:not([type=hidden]), textarea, select";

// What the server sent, without what this module and the reader change: times, open details, a copied command.
function signature(node) {
  const copy = node.cloneNode(true);
  for (const each of copy.querySelectorAll("[data-since], .copy, .new")) each.replaceChildren();
  for (const each of copy.querySelectorAll("details")) each.removeAttribute("open");
  return copy.innerHTML;
}

// Somebody is at work in it: what is typed there must not go away.
function isInUse(node) {
  const isTyped = (field) => field.type === "radio" || field.type === "checkbox" ? field.checked !== field.defaultChecked
    : field.matches("select") ? field.selectedIndex !== Math.max([...field.options].findIndex((each) => each.defaultSelected), 0)
    : field.value !== field.defaultValue;
  return (node.contains(document.activeElement) && document.activeElement.matches(`${EDITABLE}, button, summary`))
    || [...node.querySelectorAll(EDITABLE)].some(isTyped) || node.querySelector("details[open] form") !== null;
}

function replace(node, fresh) {
  const opened = [...node.querySelectorAll("details")].map((each) => each.open);
  node.replaceChildren(...fresh.childNodes);
  node.className = fresh.className;
  [...node.querySelectorAll("details")].forEach((each, index) => (each.open ||= opened[index] ?? false));
  refreshTimes();
}

// Rows that are known change in place; return how many others there are.
function updateRows(rows, fresh) {
  const known = new Map([...rows.children].map((row) => [row.dataset.key, row]));
  const [old, added] = [[], []];
  for (const row of fresh.children) (known.has(row.dataset.key) ? old : added).push(row);
  if (added.length) for (const row of old) replace(known.get(row.dataset.key), row.cloneNode(true));
  return added.length;
}

function offer(node, words, fresh) {
  node.querySelector(":scope > .new")?.remove();
  const [place, button] = [document.createElement("p"), document.createElement("button")];
  Object.assign(place, { className: "new" });
  Object.assign(button, { type: "button", textContent: words });
  button.addEventListener("click", () => replace(node, fresh));
  place.append(button);
  node.prepend(place);
}

const shown = new Map();
for (const each of document.querySelectorAll("[data-live]")) shown.set(each.dataset.live, signature(each));

function show(page) {
  for (const node of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${node.dataset.live}"]`);
    if (!fresh || signature(fresh) === shown.get(node.dataset.live)) continue;
    shown.set(node.dataset.live, signature(fresh));
    const [rows, freshRows] = [node, fresh].map((each) => each.querySelector("[data-rows]"));
    const added = rows && freshRows ? updateRows(rows, freshRows) : 0;
    if (added) offer(node, `${added} new`, fresh);
    else if (isInUse(node)) offer(node, "This has changed: show it", fresh);
    else replace(node, fresh);
  }
}

function follow() {
  const ago = document.getElementById("live-ago");
  let [stream, timer, failures, last, isOver] = [null, null, 0, "", false];
  let [isFetching, isStale] = [false, false];

  function say(words, isCounted = false) {
    if (live.textContent !== words) live.textContent = words;
    ago.hidden = !isCounted;
    live.parentElement.classList.toggle("stale", words !== "Live");
  }

  function end(words, address) {
    isOver = true;
    close();
    clearInterval(timer);
    say(words);
    if (address) live.append(" ", Object.assign(document.createElement("a"), { href: address, textContent: "Sign in again" }));
  }

  const signedOut = () => end("You are signed out; what you have typed is still here.",
    `/login?next=${encodeURIComponent(location.pathname + location.search)}`);

  async function refresh() {
    if (isFetching) return void (isStale = true);
    isFetching = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html; fragment=1" }, cache: "no-store" });
      if (answer.status === 401) return signedOut();
      if (!answer.ok) throw new Error(answer.status);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      ago.dataset.since = new Date().toISOString();
      refreshTimes();
    } catch {
      // It stays as it is, and says how old it is.
    } finally {
      isFetching = false;
      if (isStale && !isOver) void refresh((isStale = false));
    }
  }

  function close() {
    stream?.close();
    stream = null;
  }

  function connect() {
    if (stream || isOver || document.hidden) return;
    stream = new EventSource(last ? `/events?last=${last}` : "/events");
    stream.addEventListener("open", () => {
      failures = 0;
      timer = void clearInterval(timer);
      say("Live");
    });
    stream.addEventListener("changed", (event) => {
      last = event.lastEventId;
      say("Live");
      void refresh();
    });
    stream.addEventListener("fault", (event) => say(`Nothing new can be shown: ${event.data}; last refreshed`, true));
    stream.addEventListener("signed-out", signedOut);
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) setTimeout(connect, 3000, close());
      if (++failures < 3) return;
      say("Live updates lost, last refreshed", true);
      timer ??= setInterval(() => document.hidden || refresh(), POLL);
    });
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", connect);
  ago.dataset.since = new Date().toISOString();
  connect();
}

if (live) follow();
