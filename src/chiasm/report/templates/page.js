"use strict";
(() => {
  const holder = document.getElementById("slider-data");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  const root = document.getElementById("slider");
  const range = document.getElementById("epoch");
  const reading = document.getElementById("epoch-shown");
  const play = document.getElementById("play");
  const stages = document.getElementById("stages");
  const SVG = "http://www.w3.org/2000/svg";
  const BINS = 20, LEFT = 46, RIGHT = 408, TOP = 22, FLOOR = 104, HIGH = 128, LOW = 318;
  const across = (rsv) => LEFT + (RIGHT - LEFT) * (rsv + 100) / 200;
  const up = (synergy) => LOW - (LOW - HIGH) * Math.min(100, Math.max(0, synergy)) / 100;
  const side = (rsv) => (rsv > 50 ? "first" : rsv < -50 ? "second" : "both");
  let layer = data.layers[0], seed = "all", epochs = [], timer = 0, pictures = [];

  function element(parent, name, attributes, text) {
    const node = document.createElementNS(SVG, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }

  function chosen(cell) {
    return cell.seeds.filter((one) => seed === "all" || String(one.seed) === seed);
  }

  // The last measurement that is not later than the epoch shown; a run that is over stays as it ended.
  function at(one, epoch) {
    let place = 0;
    one.epochs.forEach((e, i) => { if (e <= epoch) place = i; });
    return place;
  }

  function frame(cell) {
    const box = document.createElement("div");
    box.className = "stage";
    const title = document.createElement("h3");
    title.textContent = cell.name[0].toUpperCase() + cell.name.slice(1);
    const phase = document.createElement("p");
    phase.className = "phase";
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 420 376");
    svg.setAttribute("role", "img");
    const numbers = document.createElement("p");
    box.append(title, phase, svg, numbers);
    stages.appendChild(box);
    for (const synergy of [0, 25, 50, 75, 100]) {
      element(svg, "line", { class: "grid", x1: LEFT, x2: RIGHT, y1: up(synergy), y2: up(synergy) });
      element(svg, "text", { x: LEFT - 6, y: up(synergy) + 4, "text-anchor": "end" }, synergy);
    }
    element(svg, "line", { class: "axis", x1: LEFT, x2: RIGHT, y1: FLOOR, y2: FLOOR });
    element(svg, "line", { class: "axis", x1: LEFT, x2: RIGHT, y1: LOW, y2: LOW });
    element(svg, "line", { class: "zero", x1: across(0), x2: across(0), y1: TOP, y2: LOW });
    for (const rsv of [-100, -50, 0, 50, 100]) {
      const words = (rsv > 0 ? "+" : rsv < 0 ? "\u2212" : "") + Math.abs(rsv) / 100;
      const anchor = rsv === 100 ? "end" : rsv === -100 ? "start" : "middle";
      element(svg, "text", { x: across(rsv), y: LOW + 18, "text-anchor": anchor }, words);
    }
    const first = data.sources[0] || "first source";
    const other = data.sources.length === 2 ? data.sources[1] + " only" : "not " + first;
    element(svg, "text", { class: "small", x: LEFT, y: LOW + 36 }, "\u22121: " + other);
    element(svg, "text", { class: "small", x: RIGHT, y: LOW + 36, "text-anchor": "end" }, "+1: " + first + " only");
    element(svg, "text", { x: across(0), y: LOW + 52, "text-anchor": "middle" }, "RSV of a unit");
    element(svg, "text", { class: "small", x: LEFT, y: TOP - 8 }, "share of live units (full height: 100 %)");
    element(svg, "text", { class: "small", x: LEFT, y: HIGH - 8 }, "synergy, % of variance");
    const bars = [];
    for (let i = 0; i < BINS; i++) {
      const rsv = -100 + 200 * i / BINS, middle = rsv + 100 / BINS;
      const place = { class: "bar " + side(middle), x: across(rsv) + 0.5, width: (RIGHT - LEFT) / BINS - 1, y: FLOOR, height: 0 };
      bars.push(element(svg, "rect", place));
    }
    const most = Math.max(...cell.seeds.map((one) => one.rsv[0].length)) * cell.seeds.length;
    const dots = [];
    for (let i = 0; i < most; i++) dots.push(element(svg, "circle", { class: "unit", r: 3.4, cx: across(0), cy: up(0) }));
    return { cell, phase, svg, numbers, bars, dots };
  }

  function phaseWords(cell, epoch, last) {
    const over = epoch > last ? " \u2014 this run ended at epoch " + last : "";
    if (epoch === 0) return "before training";
    const now = Math.min(epoch, last);
    const span = cell.spans.find((s) => now > s[0] && now <= s[1]);
    const release = cell.spans.filter((s) => s[2] !== "clean").map((s) => s[1]).pop();
    let words = span ? span[2] + (span[3] ? " @" + span[3] : "") + ", epochs " + span[0] + " to " + span[1] : "";
    if (span && span[2] === "clean" && release !== undefined && now > release) {
      words += ": " + (now - release) + " epochs after release";
    }
    return words + over;
  }

  function draw(picture, epoch) {
    const cell = picture.cell, some = chosen(cell);
    const last = Math.max(...cell.seeds.map((one) => one.epochs[one.epochs.length - 1]));
    const counts = new Array(BINS).fill(0);
    const rsv = [], synergy = [], outcomes = [], means = [];
    let live = 0, dead = 0, units = 0;
    for (const one of some) {
      const place = at(one, epoch);
      rsv.push(...one.rsv[place]);
      synergy.push(...one.synergy[place]);
      dead += one.dead[place];
      units += one.units;
      if (one.mean[place] !== null) means.push(one.mean[place]);
      if (one.outcome[place] !== null) outcomes.push(one.outcome[place]);
    }
    picture.dots.forEach((dot, i) => {
      const visible = i < rsv.length && rsv[i] !== null && synergy[i] !== null;
      dot.style.display = visible ? "" : "none";
      if (!visible) return;
      live += 1;
      counts[Math.min(BINS - 1, Math.floor((rsv[i] + 100) / 200 * BINS))] += 1;
      dot.setAttribute("cx", across(rsv[i]));
      dot.setAttribute("cy", up(synergy[i]));
      dot.setAttribute("class", "unit " + side(rsv[i]));
    });
    picture.bars.forEach((bar, i) => {
      const height = live ? (FLOOR - TOP) * counts[i] / live : 0;
      bar.setAttribute("y", FLOOR - height);
      bar.setAttribute("height", height);
    });
    const average = (list) => list.reduce((a, b) => a + b, 0) / list.length;
    const signed = (x) => (x < 0 ? "\u2212" : "+") + Math.abs(x).toFixed(2);
    const words = [];
    if (means.length) words.push("mean RSV " + signed(average(means)));
    words.push(dead + " of " + units + " units dead");
    if (outcomes.length) {
      const { label, digits, unit } = data.outcome;
      words.push(["test " + label, average(outcomes).toFixed(digits), unit].join(" ").trim());
    }
    picture.phase.textContent = phaseWords(cell, epoch, last);
    picture.numbers.textContent = words.join(" \u00b7 ");
    picture.svg.setAttribute("aria-label", cell.name + ", epoch " + Math.min(epoch, last) + ": " + words.join(", "));
  }

  function show() {
    const epoch = epochs[Number(range.value)];
    reading.textContent = "epoch " + epoch;
    pictures.forEach((picture) => draw(picture, epoch));
    const now = pictures.map((p) => p.cell.name + ": " + p.phase.textContent).join("; ");
    range.setAttribute("aria-valuetext", "epoch " + epoch + "; " + now);
  }

  function rebuild() {
    stages.textContent = "";
    pictures = layer.cells.map(frame);
    const all = new Set();
    layer.cells.forEach((cell) => cell.seeds.forEach((one) => one.epochs.forEach((e) => all.add(e))));
    epochs = [...all].sort((a, b) => a - b);
    range.max = String(epochs.length - 1);
    range.value = range.max;
    show();
  }

  function choices(name, label, values, pick) {
    const holder = document.getElementById(name + "s");
    if (values.length < 2) return;
    const legend = document.createElement("legend");
    legend.textContent = label;
    holder.appendChild(legend);
    values.forEach((value, i) => {
      const wrap = document.createElement("label");
      wrap.className = "choice";
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name, value, checked: i === 0 });
      const words = document.createElement("span");
      words.textContent = value;
      wrap.append(input, words);
      input.addEventListener("change", () => pick(value, i));
      holder.appendChild(wrap);
    });
  }

  function halt() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "play";
    play.setAttribute("aria-pressed", "false");
  }

  const seeds = [...new Set(data.layers.flatMap((l) => l.cells.flatMap((c) => c.seeds.map((one) => String(one.seed)))))];
  choices("seed", "seed", seeds.length > 1 ? ["all", ...seeds] : seeds, (value) => { seed = value; show(); });
  choices("layer", "layer", data.layers.map((l) => l.name), (_, i) => { layer = data.layers[i]; rebuild(); });
  range.addEventListener("input", () => { halt(); show(); });
  play.addEventListener("click", () => {
    if (timer) return halt();
    if (range.value === range.max) range.value = "0";
    play.textContent = "pause";
    play.setAttribute("aria-pressed", "true");
    show();
    timer = setInterval(() => {
      range.value = String(Number(range.value) + 1);
      show();
      if (range.value === range.max) halt();
    }, 500);
  });
  rebuild();
  root.hidden = false;
})();
