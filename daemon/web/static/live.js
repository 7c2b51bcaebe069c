// The stream: parts of the page as they change, pictures, and what happens. A hidden page closes
// its stream; one that is shown again gets the whole state.
const SILENCE_MS = 16000;
const REFRESH_MS = 300;
const RETRY_MS = 3000;

const lost = document.getElementById("lost");
const told = document.getElementById("told");
let source = null;
let heardAt = 0;
let retry = 0;
let refreshing = 0;
let connections = 0;

export function listen() {
  if (!document.body.dataset.stream) document.body.dataset.stream = "view=other";
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", () => { if (!document.hidden) open(); });
  setInterval(() => {
    if (source && performance.now() - heardAt > SILENCE_MS) { say(true); close(); open(); }
  }, 2000);
  if (!document.hidden) open();
}

function open() {
  if (source) return;
  clearTimeout(retry);
  heardAt = performance.now();
  source = new EventSource(`/live?${document.body.dataset.stream}`);
  source.onerror = () => {
    say(true);
    // A refusal (a full house, a login that ended) closes it for good: try again ourselves.
    if (source?.readyState === EventSource.CLOSED) { close(); retry = setTimeout(open, RETRY_MS); }
  };
  on("hello", ({ assets }) => {
    if (assets !== document.documentElement.dataset.assets) { location.reload(); return; }
    if (connections++) refresh();
  });
  on("beat", () => {});
  on("patch", ({ key, html }) => patch(key, html));
  on("picture", ({ camera, jpeg }) => show(camera, `data:image/jpeg;base64,${jpeg}`));
  on("event", (event) => { announce(event); refresh(); });
  on("cameras", () => { if (document.querySelector("[data-cameras]")) location.reload(); });
}

function on(name, act) {
  source.addEventListener(name, (message) => {
    heardAt = performance.now();
    say(false);
    act(JSON.parse(message.data));
  });
}

function close() {
  source?.close();
  source = null;
}

function say(isLost) {
  lost.hidden = !isLost;
  document.body.classList.toggle("is-lost", isLost);
}

// The HTML comes from the service's own templates, where all that is foreign was escaped.
function patch(key, html) {
  for (const part of document.querySelectorAll("[data-live]")) {
    if (part.dataset.live !== key) continue;
    const wanted = document.createElement("template");
    wanted.innerHTML = html;
    if (wanted.innerHTML === part.innerHTML) continue; // a video that plays stays as it is
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const opened = [...part.querySelectorAll("details")].map((one) => one.open);
    part.replaceChildren(wanted.content);
    part.querySelectorAll("details").forEach((one, number) => { one.open = opened[number] ?? false; });
    const href = focused?.getAttribute("href");
    if (href) part.querySelector(`[href="${CSS.escape(href)}"]`)?.focus();
    part.dispatchEvent(new CustomEvent("patched", { bubbles: true }));
  }
}

function show(camera, url) {
  for (const image of document.querySelectorAll("[data-picture]")) {
    if (image.dataset.picture === camera) { image.src = url; image.hidden = false; }
  }
}

function announce({ camera, type, suppressed }) {
  if (suppressed) return;
  const what = { new: "New event on", end: "Event ended on" }[type];
  if (what) told.textContent = `${what} ${camera}`;
}

// A list of events that changes is fetched again, as it was asked for.
function refresh() {
  const list = document.querySelector("[data-refresh]");
  if (!list) return;
  clearTimeout(refreshing);
  refreshing = setTimeout(async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(list.id);
      if (fresh && fresh.innerHTML !== list.innerHTML) list.replaceChildren(...fresh.childNodes);
    } catch { say(true); }
  }, REFRESH_MS);
}
