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
    scheme.setAttribute("aria-label", `Colours: ${name}; press for the next setting`);
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
  const heads = (table) => [...table.querySelector(".heads").cells];
  const models = (table) => [...(table.tBodies[0]?.rows ?? [])];
  const sort = (table, button, index, down) => {
    const rows = models(table), goal = Number(button.dataset.real);
    const near = button.dataset.better === "near_real" && button.dataset.real !== "";
    const filled = rows.filter((row) => value(row, index) !== "");
    const numeric = filled.every((row) => !Number.isNaN(Number(value(row, index))));
    const key = (row) => (near ? Math.abs(Number(value(row, index)) - goal) : Number(value(row, index)));
    const compare = (a, b) => (numeric ? key(a) - key(b) : value(a, index).localeCompare(value(b, index)));
    filled.sort((a, b) => (down ? -1 : 1) * compare(a, b));
    table.tBodies[0]?.append(...filled, ...rows.filter((row) => value(row, index) === ""));
  };
  for (const button of all(".sort")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : button.dataset.better === "higher";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(head.closest("table"), button, head.cellIndex, down);
    });
  }

  /* Columns: the headline, one group, or all. */
  const choose = (table, view) => {
    const sizes = {};
    heads(table).forEach((head, index) => {
      const group = head.dataset.group;
      const on = !view || !group || (view === "first" ? head.dataset.first : group === view);
      if (on) sizes[group] = (sizes[group] ?? 0) + 1;
      for (const row of table.rows) if (!row.matches(".groups")) row.cells[index].classList.toggle("off", !on);
    });
    for (const cell of all(".groups th", table)) {
      cell.classList.toggle("off", !sizes[cell.dataset.group]);
      cell.colSpan = sizes[cell.dataset.group] || 1;
    }
    for (const button of all(`[data-more="${table.id}"]`)) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    edges();
  };
  for (const button of all("[data-more]")) {
    button.addEventListener("click", () => choose(document.getElementById(button.dataset.more), button.dataset.view));
  }
  for (const button of all("[data-intervals]")) {
    button.addEventListener("click", () => {
      const shown = document.getElementById(button.dataset.intervals).classList.toggle("numeric-intervals");
      button.setAttribute("aria-pressed", String(shown));
      edges();
    });
  }

  /* Rows: by the model's name, and by columns' values: < 5, >= 0.3, 0.2..0.5, or a part of a text. */
  const condition = (text) => {
    const bound = text.match(/^(<=?|>=?|=)\s*(-?[\d.]+(?:e-?\d+)?)$/i);
    const range = text.match(/^(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)$/);
    const tests = {
      "<": (v, to) => v < to, "<=": (v, to) => v <= to, ">": (v, to) => v > to, ">=": (v, to) => v >= to,
      "=": (v, to) => v === to,
    };
    if (bound) return (cell) => cell !== "" && tests[bound[1]](Number(cell), Number(bound[2]));
    if (range) return (cell) => cell !== "" && Number(cell) >= Number(range[1]) && Number(cell) <= Number(range[2]);
    return /^[<>=]/.test(text) ? null : (cell) => cell.toLowerCase().includes(text.toLowerCase());
  };
  const filter = (table) => {
    const words = document.querySelector(`[data-filter="${table.id}"]`).value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const conditions = [];
    for (const field of all(".filters input", table)) {
      const test = condition(field.value.trim());
      field.setAttribute("aria-invalid", String(test === null));
      if (field.value.trim() && test) conditions.push([field.closest("th").cellIndex, test]);
    }
    for (const row of models(table)) {
      const name = value(row, 0).toLowerCase();
      const named = words.length === 0 || words.some((word) => name.includes(word));
      row.hidden = !named || conditions.some(([index, test]) => !test(value(row, index)));
    }
    const shown = models(table).filter((row) => !row.hidden).length;
    const wrong = table.querySelector('[aria-invalid="true"]');
    const count = words.length || conditions.length ? `${shown} of ${models(table).length} models` : "";
    document.querySelector(`[data-count="${table.id}"]`).textContent = wrong
      ? `found "${wrong.value}"; expected < 5, >= 0.3, 0.2..0.5 or part of a text` : count;
  };
  const fields = (table) => {
    const row = table.tHead.insertRow();
    row.className = "filters";
    for (const head of heads(table)) {
      const cell = document.createElement("th");
      const input = document.createElement("input");
      const better = head.querySelector(".sort").dataset.better;
      input.placeholder = head.matches(".number") ? (better === "lower" ? "< 5" : "> 0.5") : "text";
      input.setAttribute("aria-label", `Filter by ${head.querySelector(".meaning b").textContent}`);
      input.addEventListener("input", () => filter(table));
      cell.className = head.className;
      cell.append(input);
      row.append(cell);
    }
    return row;
  };
  for (const button of all("[data-filters]")) {
    const table = document.getElementById(button.dataset.filters);
    button.addEventListener("click", () => {
      const row = table.querySelector(".filters");
      const shown = row ? row.hidden : true;
      if (row) row.hidden = !shown;
      else fields(table);
      if (!shown) for (const field of all(".filters input", table)) field.value = "";
      button.setAttribute("aria-pressed", String(shown));
      filter(table);
      edges();
    });
  }
  for (const field of all("[data-filter]")) {
    field.addEventListener("input", () => filter(document.getElementById(field.dataset.filter)));
  }

  /* A shade at an edge beyond which there are more columns. */
  const edges = () => {
    for (const scroll of all(".scroll")) {
      const left = scroll.scrollLeft > 1, right = scroll.scrollLeft + scroll.clientWidth < scroll.scrollWidth - 1;
      scroll.parentElement.classList.toggle("more-left", left);
      scroll.parentElement.classList.toggle("more-right", right);
    }
  };
  addEventListener("scroll", edges, { passive: true, capture: true });
  addEventListener("resize", edges);
  for (const button of all('[data-view="first"]')) choose(document.getElementById(button.dataset.more), "first");
  edges();

  /* A link to a run opens it; print opens everything. */
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const item of closed) item.open = true;
  });
  addEventListener("afterprint", () => { for (const item of closed) item.open = false; });

  /* Pictures: enlarged by a press, and saved as what they are; a drawing of lines as a PNG too. */
  const dialog = document.getElementById("the-view");
  const enlarged = dialog.querySelector(".enlarged");
  const file = (image, kind) => `${image.dataset.name ?? image.alt.replace(/\W+/g, "_").slice(0, 60)}.${kind}`;
  const save = (address, name) => {
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
  };
  const enlarge = (image) => {
    const copy = image.cloneNode();
    for (const name of ["role", "tabindex", "data-enlarge", "id"]) copy.removeAttribute(name);
    enlarged.replaceChildren(copy);
    enlarged.classList.toggle("lines", image.closest(".lines") !== null);
    document.getElementById("the-view-title").textContent = image.alt;
    dialog.querySelector('[data-save="svg"]').hidden = !image.src.startsWith("data:image/svg");
    dialog.showModal();
  };
  dialog.querySelector('[data-save="svg"]').addEventListener("click", () => {
    const image = enlarged.firstChild;
    save(image.src, file(image, "svg"));
  });
  dialog.querySelector('[data-save="png"]').addEventListener("click", () => {
    const image = enlarged.firstChild;
    if (image.src.startsWith("data:image/png")) return save(image.src, file(image, "png"));
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return save(canvas.toDataURL("image/png"), file(image, "png"));
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  for (const image of all("[data-enlarge]")) {
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.addEventListener("click", () => enlarge(image));
    image.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      enlarge(image);
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
