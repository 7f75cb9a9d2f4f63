/* The page on which one plays with the window. The index arithmetic and the checks are those of refconv/geometry.py and
   refconv/checks.py; tests/browser/ compares every number and every message with them. */
(function () {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const AXES = [
    ["input", "input size", 7, 7],
    ["kernel", "kernel size", 3, 3],
    ["stride", "stride", 1, 1],
    ["padding", "padding", 1, 1],
    ["dilation", "dilation", 1, 1],
  ];
  const CHANNELS = [
    ["c_in", "input channels", 3],
    ["c_kernel", "channels per kernel", 3],
    ["c_out", "kernels", 16],
    ["groups", "groups", 1],
  ];
  const LARGEST = 64; // rows or columns that are drawn
  const MOST_TERMS = 30; // that are written out

  /* ---- Geometry, along one axis ---- */

  function extent(kernel, dilation) { return dilation * (kernel - 1) + 1; }

  function outputSize(size, kernel, stride, padding, dilation) {
    return Math.floor((size + 2 * padding - extent(kernel, dilation)) / stride) + 1;
  }

  function equation(size, kernel, stride, padding, dilation) {
    const result = outputSize(size, kernel, stride, padding, dilation);
    return `floor((${size} + ${padding} + ${padding} - ${dilation}*(${kernel} - 1) - 1) / ${stride}) + 1 = ${result}`;
  }

  /* All taps at an output position: kernel index, input index, and whether that is inside the image. */
  function taps(o, size, kernel, stride, padding, dilation) {
    const found = [];
    for (let k = 0; k < kernel; k++) {
      const i = o * stride - padding + k * dilation;
      found.push({ k, i, inside: 0 <= i && i < size });
    }
    return found;
  }

  /* ---- The checks, in torch's order and words ---- */

  function check(p) {
    const input = [1, p.c_in, ...p.input], weight = [p.c_out, p.c_kernel, ...p.kernel];
    const list = (values) => `[${values.join(", ")}]`, by = (values) => values.join(" x ");
    for (const shape of [input, weight]) {
      if (Math.min(...shape) < 0) {
        return `Trying to create tensor with negative dimension ${Math.min(...shape)}: ${list(shape)}`;
      }
    }
    if (p.groups <= 0) { return "non-positive groups is not supported"; }
    if (Math.min(...p.padding) < 0) { return "negative padding is not supported"; }
    if (Math.min(...p.stride) <= 0) { return "non-positive stride is not supported"; }
    if (Math.min(...p.dilation) < 0) { return "dilation should be greater than zero"; }
    const given = `Given groups=${p.groups}, `;
    if (p.c_out < p.groups) {
      return `${given}expected weight to be at least ${p.groups} at dimension 0, ` +
        `but got weight of size ${list(weight)} instead`;
    }
    if (p.c_out % p.groups !== 0) {
      return `${given}expected weight to be divisible by ${p.groups} at dimension 0, ` +
        `but got weight of size [${list(weight)}] instead`;
    }
    if (p.c_in !== p.c_kernel * p.groups) {
      return `${given}weight of size ${list(weight)}, expected input${list(input)} ` +
        `to have ${p.c_kernel * p.groups} channels, but got ${p.c_in} channels instead`;
    }
    const padded = [0, 1].map((a) => p.input[a] + 2 * p.padding[a]);
    const spans = [0, 1].map((a) => extent(p.kernel[a], p.dilation[a]));
    if (padded[0] < spans[0] || padded[1] < spans[1]) {
      return `Calculated padded input size per channel: (${by(padded)}). Kernel size: (${by(spans)}). ` +
        "Kernel size can't be greater than actual input size";
    }
    if (p.c_in > 0 && p.input.includes(0)) {
      return `Only zero batch or zero channel inputs are supported, but got input shape: ${list(input)}`;
    }
    if (p.kernel.includes(0)) {
      const problem = "kernel size should be greater than zero, but got";
      return p.dilation.some((d) => d !== 1)
        ? `${problem} ${list(p.kernel)}`
        : `${problem} kernel_height: ${p.kernel[0]} kernel_width: ${p.kernel[1]}`;
    }
    if (p.dilation.includes(0)) { return `dilation should be greater than zero, but got ${list(p.dilation)}`; }
    return null;
  }

  /* ---- Reading the form ---- */

  function number(id) {
    const value = Number($(id).value);
    return Number.isSafeInteger(value) && $(id).value.trim() !== "" ? value : null;
  }

  function read() {
    const p = {};
    for (const [name] of AXES) { p[name] = [number(`${name}_h`), number(`${name}_w`)]; }
    for (const [name] of CHANNELS) { p[name] = number(name); }
    return Object.values(p).flat().includes(null) ? null : p;
  }

  /* ---- Drawing ---- */

  const SVG = "http://www.w3.org/2000/svg";

  function element(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) { made.setAttribute(key, value); }
    parent.appendChild(made);
    return made;
  }

  function grid(svg, left, top, rows, columns, kind) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const at = { x: left + column * 20, y: top + row * 20, width: 20, height: 20, class: kind(row, column) };
        element("rect", at, svg);
      }
    }
  }

  function title(svg, left, columns, top, text) {
    element("text", { x: left + columns * 10, y: top - 8, "text-anchor": "middle" }, svg).textContent = text;
  }

  function frame(svg, left, top, row, column, rows, columns) {
    element("rect", {
      x: left + column * 20, y: top + row * 20, width: columns * 20, height: rows * 20, class: "frame-line",
    }, svg);
  }

  function draw(p, size, at, rows, columns) {
    const host = $("window-picture");
    host.textContent = "";
    const padded = [0, 1].map((a) => p.input[a] + 2 * p.padding[a]);
    if (Math.max(...padded, ...p.kernel, ...size) > LARGEST) {
      host.textContent = `Too large to be drawn (more than ${LARGEST} rows or columns). The numbers below are right.`;
      return;
    }
    const widths = [padded[1], p.kernel[1], size[1]], heights = [padded[0], p.kernel[0], size[0]];
    const tallest = Math.max(...heights), gap = 90;
    const total = 20 * widths.reduce((a, b) => a + b) + 2 * gap + 60;
    const svg = element("svg", {
      viewBox: `0 0 ${total} ${20 * tallest + 40}`, style: `max-width: ${total}px`, class: "window-svg",
    }, host);
    const tops = heights.map((height) => 30 + 10 * (tallest - height));
    const lefts = [30, 30 + 20 * widths[0] + gap, 30 + 20 * (widths[0] + widths[1]) + 2 * gap];
    const inWindow = new Set(), used = new Set(), ring = [];
    for (const r of rows) {
      for (const c of columns) {
        const key = `${r.i + p.padding[0]},${c.i + p.padding[1]}`;
        if (r.inside && c.inside) { inWindow.add(key); used.add(`${r.k},${c.k}`); }
        ring.push([r.i + p.padding[0], c.i + p.padding[1], r.inside && c.inside]);
      }
    }
    grid(svg, lefts[0], tops[0], padded[0], padded[1], (row, column) => {
      const ih = row - p.padding[0], iw = column - p.padding[1];
      const inside = 0 <= ih && ih < p.input[0] && 0 <= iw && iw < p.input[1];
      return inWindow.has(`${row},${column}`) ? "cell tap" : inside ? "cell input" : "cell pad";
    });
    grid(svg, lefts[1], tops[1], p.kernel[0], p.kernel[1], (row, column) => (
      used.has(`${row},${column}`) ? "cell tap" : "cell kernel"));
    grid(svg, lefts[2], tops[2], size[0], size[1], (row, column) => (
      row === at[0] && column === at[1] ? "cell now" : "cell output"));
    for (const [row, column, inside] of ring) {
      element("circle", {
        cx: lefts[0] + column * 20 + 10, cy: tops[0] + row * 20 + 10, r: 2.5, class: inside ? "dot" : "ring",
      }, svg);
    }
    frame(svg, lefts[0], tops[0], rows[0].i + p.padding[0], columns[0].i + p.padding[1],
      extent(p.kernel[0], p.dilation[0]), extent(p.kernel[1], p.dilation[1]));
    frame(svg, lefts[2], tops[2], at[0], at[1], 1, 1);
    const middle = 34 + 10 * tallest;
    element("text", { x: lefts[1] - gap / 2, y: middle, "text-anchor": "middle", class: "sign" }, svg).textContent = "\u2219";
    element("text", { x: lefts[2] - gap / 2, y: middle, "text-anchor": "middle", class: "sign" }, svg).textContent = "\u2192";
    title(svg, lefts[0], widths[0], tops[0], `input ${p.input[0]}\u00d7${p.input[1]}`);
    title(svg, lefts[1], widths[1], tops[1], `kernel ${p.kernel[0]}\u00d7${p.kernel[1]}`);
    title(svg, lefts[2], widths[2], tops[2], `output ${size[0]}\u00d7${size[1]}`);
  }

  /* ---- The state: a position, and whether the window moves by itself ---- */

  let at = [0, 0], size = [1, 1], timer = null;

  function update() {
    const p = read();
    const problem = p === null ? "Every field needs a whole number." : check(p);
    $("window-error").hidden = problem === null;
    $("window-error").textContent = problem || "";
    $("window-result").hidden = problem !== null;
    if (problem !== null) { pause(); return; }
    const axis = (a) => [p.input[a], p.kernel[a], p.stride[a], p.padding[a], p.dilation[a]];
    size = [outputSize(...axis(0)), outputSize(...axis(1))];
    at = at.map((o, a) => Math.min(o, size[a] - 1));
    const rows = taps(at[0], ...axis(0)), columns = taps(at[1], ...axis(1));
    const inside = [];
    for (const r of rows) {
      for (const c of columns) {
        if (r.inside && c.inside) { inside.push(`weight[${r.k}, ${c.k}]\u00b7input[${r.i}, ${c.i}]`); }
      }
    }
    $("window-output").textContent = `(1, ${p.c_out}, ${size[0]}, ${size[1]})`;
    $("window-height").textContent = equation(...axis(0));
    $("window-width").textContent = equation(...axis(1));
    const weights = BigInt(p.c_out) * BigInt(p.c_kernel) * BigInt(p.kernel[0]) * BigInt(p.kernel[1]);
    $("window-weights").textContent = `(${p.c_out}, ${p.c_kernel}, ${p.kernel[0]}, ${p.kernel[1]}), ${weights} numbers`;
    $("window-macs").textContent = `${weights * BigInt(size[0]) * BigInt(size[1])}`;
    $("window-position").textContent = `output[${at[0]}, ${at[1]}]: ${inside.length} of ${rows.length * columns.length} taps inside`;
    $("window-taps").dataset.terms = JSON.stringify(inside);
    const shown = inside.length > MOST_TERMS ? [...inside.slice(0, MOST_TERMS), "\u2026"] : inside;
    const channels = p.c_kernel === 1 ? "" : `, summed over ${p.c_kernel} channels`;
    $("window-taps").textContent = shown.length ? shown.join(" + ") + channels : "no terms: all taps fall into the padding";
    draw(p, size, at, rows, columns);
  }

  function step(by) {
    const count = size[0] * size[1];
    const next = (at[0] * size[1] + at[1] + by + count) % count;
    at = [Math.floor(next / size[1]), next % size[1]];
    update();
  }

  function pause() { clearInterval(timer); timer = null; $("window-play").textContent = "Play"; }

  function play() {
    if (timer !== null) { pause(); return; }
    timer = setInterval(() => step(1), 500);
    $("window-play").textContent = "Pause";
  }

  function field(id, label, value) {
    const made = document.createElement("input");
    Object.assign(made, { id, type: "number", value, step: 1, min: 0, inputMode: "numeric" });
    made.setAttribute("aria-label", label);
    return made;
  }

  function row(body, label, fields) {
    const line = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = label;
    line.appendChild(head);
    for (const one of fields) { line.insertCell().appendChild(one); }
  }

  for (const [name, label, h, w] of AXES) {
    row($("window-axes"), label, [field(`${name}_h`, `${label}, height`, h), field(`${name}_w`, `${label}, width`, w)]);
  }
  for (const [name, label, value] of CHANNELS) { row($("window-channels"), label, [field(name, label, value)]); }

  $("window-form").addEventListener("input", update);
  $("window-form").addEventListener("submit", (event) => event.preventDefault());
  $("window-back").onclick = () => { pause(); step(-1); };
  $("window-on").onclick = () => { pause(); step(1); };
  $("window-play").onclick = play;
  $("window-picture").onkeydown = (event) => {
    const move = {
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [-at[0], -at[1]],
    }[event.key];
    if (!move) { return; }
    event.preventDefault();
    event.stopPropagation(); // else the theme takes the keys for the next page
    pause();
    at = at.map((o, a) => Math.max(0, Math.min(size[a] - 1, o + move[a])));
    update();
  };
  update();
})();
