// Keeps the page current: asks for the part that changes every two seconds and
// changes only the nodes that differ, so that the focus, a selection, scrolling
// and open tables stay as they are. Without scripts the page reloads itself.

const every = 2000; // milliseconds, also between two tries at first
const longest = 30000;
const content = document.getElementById("content");
const state = document.getElementById("live-state");
const button = document.getElementById("live-button");

let tag = ""; // of the fragment that is shown
let failures = 0; // in a row
let paused = false;
let timer = 0;

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  morphAttributes(old, fresh);
  morphChildren(old, fresh);
}

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    const opened = name === "open"; // the reader's doing
    if (!fresh.hasAttribute(name) && !opened) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function morphChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  const present = [...old.childNodes];
  wanted.forEach((node, i) => (i < present.length ? morph(present[i], node) : old.append(node)));
  present.slice(wanted.length).forEach((node) => node.remove());
}

function show(html) {
  const fresh = new DOMParser().parseFromString(`<main id="content">\n${html}\n</main>`, "text/html");
  morphChildren(content, fresh.getElementById("content"));
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

async function refresh() {
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch("/fragment" + location.search, { headers, cache: "no-store" });
    if (answer.status === 200) {
      show(await answer.text());
      tag = answer.headers.get("ETag") || "";
    } else if (answer.status !== 304) {
      throw new Error(`the server answered ${answer.status}`);
    }
    failures = 0;
    say("Live");
  } catch {
    failures++;
    say("Not live: the server does not answer. Trying again.");
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  const spread = failures ? 0.5 + Math.random() : 1; // so that readers do not come back together
  timer = setTimeout(refresh, Math.min(every * 2 ** failures, longest) * spread);
}

button.addEventListener("click", () => {
  paused = !paused;
  button.textContent = paused ? "Go on" : "Pause";
  say(paused ? "Paused" : "Live");
  schedule();
});
document.addEventListener("visibilitychange", () => {
  if (!paused && !document.hidden) refresh();
});
button.parentElement.hidden = false;
schedule();
