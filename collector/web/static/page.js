"use strict";
// Puts what the server has rendered where it belongs; nothing is made of data here.

const KEPT = { alerts: 20, plates: 12 };
const link = document.getElementById("link");

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

function put({ section, id, html, digest }) {
  const content = document.getElementById(`section-${section}`);
  if (!content) return;
  if (id === undefined) {
    if (content.dataset.digest !== digest) {
      content.innerHTML = html;
      content.dataset.digest = digest;
    }
    return;
  }
  content.dataset.digest = "";
  const fresh = element(html);
  const old = document.getElementById(id);
  if (old) {
    old.replaceWith(fresh);
    return;
  }
  content.querySelector(":scope > .empty")?.remove();
  if (section in KEPT) {
    fresh.classList.add("new");
    content.prepend(fresh);
    while (content.children.length > KEPT[section]) content.lastElementChild.remove();
  } else {
    const after = [...content.children].find((other) => other.id > id);
    content.insertBefore(fresh, after ?? null);
  }
}

const source = new EventSource("/live");
source.onopen = () => { link.dataset.state = "live"; };
source.onmessage = (event) => put(JSON.parse(event.data));
source.onerror = () => {
  link.dataset.state = "lost";
  // a refused stream is not tried again by the browser: the session has ended
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
};

async function change(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  if (answer.ok) return location.reload();
  const { error, what_to_do: todo } = await answer.json();
  const wrong = document.querySelector("#watch .wrong");
  wrong.textContent = `${error.vi} ${todo.vi} / ${error.en} ${todo.en}`;
  wrong.hidden = false;
}

document.getElementById("watch")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { pattern, reason, expires } = Object.fromEntries(new FormData(event.target));
  change("POST", "/api/v1/watchlist", { pattern, reason, expires: `${expires}+07:00` });
});
document.addEventListener("click", (event) => {
  const entry = event.target.closest("[data-unwatch]")?.dataset.unwatch;
  if (entry) change("DELETE", `/api/v1/watchlist/${entry}`);
});
