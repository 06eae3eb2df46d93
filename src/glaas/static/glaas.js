// Copying, and moving around in graphs. Every page works without this file.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.classList.add("ready");
  button.addEventListener("click", async () => {
    const word = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = word; }, 1500);
  });
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const when = new Date(time.dateTime);
  if (!Number.isNaN(when.valueOf())) time.title = `${when.toLocaleString()} here`;
}

// A table is a stop for the keyboard, and a region of the page, only where it is wider than its place.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const scrolls = target.scrollWidth > target.clientWidth;
    target.toggleAttribute("tabindex", scrolls);
    if (scrolls) target.tabIndex = 0;
    target.setAttribute("role", scrolls ? "region" : "group");
  }
});
for (const table of document.querySelectorAll(".scroll")) widths.observe(table);

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.querySelector(".find input").focus();
  }
});

for (const graph of document.querySelectorAll("[data-graph]")) makeMovable(graph);

function makeMovable(graph) {
  const canvas = graph.querySelector(".canvas");
  const svg = canvas.querySelector("svg");
  const whole = { x: 0, y: 0, width: svg.width.baseVal.value, height: svg.height.baseVal.value };
  canvas.classList.add("live");
  const tall = canvas.offsetHeight;
  const view = { x: 0, y: 0, scale: 1 };

  // A transform of the whole picture is painted anew without being laid out anew: with thousands of boxes that counts.
  function show() {
    svg.style.transform = `scale(${view.scale}) translate(${-view.x}px, ${-view.y}px)`;
  }
  function fit(least) {
    view.scale = Math.max(Math.min(canvas.clientWidth / whole.width, tall / whole.height, 1), least);
    view.x = Math.min((whole.width - canvas.clientWidth / view.scale) / 2, 0);
    view.y = Math.min((whole.height - tall / view.scale) / 2, 0);
    if (least && whole.height > tall / view.scale) view.y = (whole.height - tall / view.scale) / 2;
    show();
  }
  function zoom(factor, x, y) {
    const scale = Math.min(Math.max(view.scale * factor, 0.03), 3);
    view.x += x / view.scale - x / scale;
    view.y += y / view.scale - y / scale;
    view.scale = scale;
    show();
  }
  function move(dx, dy) {
    view.x += dx / view.scale;
    view.y += dy / view.scale;
    show();
  }

  graph.querySelector(".tools").hidden = false;
  for (const button of graph.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      const factor = { in: 1.3, out: 1 / 1.3 }[button.dataset.zoom];
      if (factor) zoom(factor, canvas.clientWidth / 2, tall / 2); else fit(0);
    });
  }
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  const held = new Map();
  let travelled = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    held.set(event.pointerId, event);
    travelled = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    travelled += Math.abs(event.clientX - before.clientX) + Math.abs(event.clientY - before.clientY);
    if (travelled > 4) {
      canvas.setPointerCapture(event.pointerId);
      canvas.classList.add("held");
    }
    if (held.size === 1) {
      move(before.clientX - event.clientX, before.clientY - event.clientY);
    } else {
      const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
      const box = canvas.getBoundingClientRect();
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      zoom(apart(event) / apart(before), (event.clientX + other.clientX) / 2 - box.left,
        (event.clientY + other.clientY) / 2 - box.top);
    }
    held.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      held.delete(event.pointerId);
      canvas.classList.remove("held");
    });
  }
  canvas.addEventListener("dragstart", (event) => event.preventDefault());
  canvas.addEventListener("click", (event) => {
    if (travelled > 4) event.preventDefault();
  }, true);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] }[event.key];
    if (step) move(...step);
    else if (event.key === "+" || event.key === "=") zoom(1.3, canvas.clientWidth / 2, tall / 2);
    else if (event.key === "-") zoom(1 / 1.3, canvas.clientWidth / 2, tall / 2);
    else if (event.key === "0") fit(0);
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focusin", (event) => { // on the picture itself, it would make the picture a stop of its own
    const box = event.target.closest("a")?.querySelector("g")?.transform.baseVal.consolidate()?.matrix;
    if (!box || !event.target.matches(":focus-visible")) return;
    const wide = canvas.clientWidth / view.scale;
    const high = tall / view.scale;
    if (box.e < view.x || box.e + 196 > view.x + wide) view.x = box.e - wide / 2 + 95;
    if (box.f < view.y || box.f + 44 > view.y + high) view.y = box.f - high / 2 + 22;
    show();
  });
  canvas.addEventListener("scroll", () => canvas.scrollTo(0, 0)); // the browser's own way to show what has the focus
  fit(1); // text at its own size; the rest is a drag away, and the button shows the whole
}
