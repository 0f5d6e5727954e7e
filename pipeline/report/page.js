"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  /* Colours: as the system has them, light, dark. */
  const scheme = document.getElementById("the-scheme");
  const schemes = ["system", "light", "dark"];
  const remembered = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("easel-scheme");
      localStorage.setItem("easel-scheme", value);
    } catch { /* a browser that keeps nothing for files */ }
    return null;
  };
  const paint = (name) => {
    if (name === "system") delete root.dataset.scheme;
    else root.dataset.scheme = name;
    scheme.textContent = `Colours: ${name}`;
    scheme.setAttribute("aria-label", `Colours: ${name}; press for the next`);
  };
  let chosen = schemes.includes(remembered()) ? remembered() : "system";
  paint(chosen);
  scheme.addEventListener("click", () => {
    chosen = schemes[(schemes.indexOf(chosen) + 1) % schemes.length];
    remembered(chosen);
    paint(chosen);
  });

  /* Tables: sorted by the column that was pressed, its better end first; empty cells last; references stay below. */
  const value = (row, index) => row.cells[index].dataset.value;
  const compare = (a, b, numeric) => (numeric ? Number(a) - Number(b) : a.localeCompare(b));
  const sort = (table, index, down) => {
    const body = table.tBodies[0];
    if (!body) return;
    const rows = [...body.rows];
    const filled = rows.filter((row) => value(row, index) !== "");
    const numeric = filled.every((row) => !Number.isNaN(Number(value(row, index))));
    filled.sort((a, b) => (down ? -1 : 1) * compare(value(a, index), value(b, index), numeric));
    body.append(...filled, ...rows.filter((row) => value(row, index) === ""));
  };
  for (const button of all(".sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : button.dataset.better === "higher";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(head.closest("table"), head.cellIndex, down);
    });
  }
  for (const button of all("[data-more]")) {
    const table = document.getElementById(button.dataset.more);
    button.addEventListener("click", () => {
      const whole = table.classList.toggle("whole");
      button.setAttribute("aria-pressed", String(whole));
    });
  }
  for (const field of all("[data-filter]")) {
    const table = document.getElementById(field.dataset.filter);
    const count = document.querySelector(`[data-count="${field.dataset.filter}"]`);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
      const rows = table.tBodies[0] ? [...table.tBodies[0].rows] : [];
      for (const row of rows) {
        const name = row.cells[0].dataset.value.toLowerCase();
        row.hidden = words.length > 0 && !words.some((word) => name.includes(word));
      }
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${shown} of ${rows.length} models` : "";
    });
  }

  /* What a column means, beside the pointer's or the keyboard's place; Escape puts it away. */
  const tip = document.getElementById("the-tip");
  let told = null;
  const hide = () => { tip.hidden = true; told = null; };
  const place = (button) => {
    const at = button.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left), innerWidth - tip.offsetWidth - 8);
    const below = at.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? at.bottom + 6 : at.top - tip.offsetHeight - 6}px`;
  };
  const show = (button) => {
    const meaning = document.getElementById(button.getAttribute("aria-describedby"));
    tip.replaceChildren(...[...meaning.childNodes].map((node) => node.cloneNode(true)));
    tip.hidden = false;
    told = button;
    place(button);
  };
  for (const button of all(".sort")) {
    button.addEventListener("mouseenter", () => show(button));
    button.addEventListener("focus", () => show(button));
    button.addEventListener("mouseleave", hide);
    button.addEventListener("blur", hide);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  /* The focus scrolls its column into sight: there the words go along. */
  const follow = () => (told && told === document.activeElement ? place(told) : hide());
  addEventListener("scroll", follow, { passive: true, capture: true });

  /* Canvases: one picture for each step; nothing moves unless it was asked to. */
  const stepTime = 350, lastTime = 1400;
  for (const animation of all(".animation")) {
    const frames = all(".frames img", animation);
    const slider = animation.querySelector("input");
    const play = animation.querySelector('[data-do="play"]');
    const said = animation.querySelector("output");
    const name = play.getAttribute("aria-label").replace(/: play$/, "");
    let step = frames.length, timer = null;
    const go = (to) => {
      step = ((to - 1 + frames.length) % frames.length) + 1;
      frames.forEach((frame, index) => { frame.hidden = index + 1 !== step; });
      slider.value = step;
      said.textContent = step;
    };
    const pause = () => {
      clearTimeout(timer);
      timer = null;
      play.textContent = "Play";
      play.setAttribute("aria-label", `${name}: play`);
    };
    const tick = () => {
      const ended = step === frames.length;
      if (ended && still.matches) return pause(); // once through, where motion is unwelcome
      timer = setTimeout(() => { go(step + 1); tick(); }, ended ? lastTime : stepTime);
    };
    const start = () => {
      play.textContent = "Pause";
      play.setAttribute("aria-label", `${name}: pause`);
      if (step === frames.length) go(1);
      tick();
    };
    play.addEventListener("click", () => (timer === null ? start() : pause()));
    animation.querySelector('[data-do="back"]').addEventListener("click", () => { pause(); go(step - 1); });
    animation.querySelector('[data-do="on"]').addEventListener("click", () => { pause(); go(step + 1); });
    slider.addEventListener("input", () => { pause(); go(Number(slider.value)); });
  }
})();
