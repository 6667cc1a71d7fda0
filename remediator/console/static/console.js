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
