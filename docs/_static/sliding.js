/* Figures of one axis with sliders: a window that slides, an input that scatters, gradients that go back.

   `axis` does the arithmetic. tests/pages/test_sliding.py compares it with numbaconv.shapes and numbaconv.reference. */
"use strict";

(() => {
  const DIGITS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];
  const CHINESE = typeof document !== "undefined" && document.documentElement.lang.startsWith("zh");
  const CELL = 40, LEFT = 84, TOP = 26, GAP = 76;

  /* Rows of numbers and which of them meet.

     mode: "forward", "transposed" or "backward". The result has `from` and `to`: rows of {place, value, inside} by
     position, place counted in cells along a common ruler; and `links`: [position in from, position in to, tap]. */
  function axis({ mode, n, taps, stride, dilation, padding }) {
    const span = (taps - 1) * dilation + 1;
    const transposed = mode === "transposed";
    const long = transposed && padding === "valid" ? n * stride + Math.max(span - stride, 0) : n * stride;
    const windows = padding === "valid" ? Math.max(Math.ceil((n - span + 1) / stride), 0) : Math.ceil(n / stride);
    const same = (small, large) => Math.floor(Math.max((small - 1) * stride + span - large, 0) / 2);
    const before = padding === "valid" ? 0 : padding === "causal" ? span - 1
      : transposed ? same(n, long) : same(windows, n);
    // Of a convolution, outputs have windows; of a transposed one, inputs do, and what they reach is the output.
    const [narrow, wide] = transposed ? [n, long] : [windows, n];
    const middle = padding === "causal" ? span - 1 : (span - 1) / 2;
    const narrowRow = new Map(), wideRow = new Map(), links = [];
    const first = Math.min(0, -before), last = Math.max(wide, (narrow - 1) * stride - before + span);
    for (let i = first; i < last; i++) {
      const inside = i >= 0 && i < wide;
      wideRow.set(i, { place: i, value: mode === "forward" && inside ? DIGITS[i] : 0, inside });
    }
    for (let o = 0; o < narrow; o++) {
      narrowRow.set(o, { place: o * stride - before + middle, value: mode === "forward" ? 0 : DIGITS[o], inside: true });
    }
    for (let o = 0; o < narrow; o++) {
      for (let k = 0; k < taps; k++) {
        const i = o * stride - before + k * dilation;
        if (mode === "forward") {
          narrowRow.get(o).value += (k + 1) * wideRow.get(i).value;
          links.push([i, o, k]);
        } else {
          wideRow.get(i).value += (k + 1) * DIGITS[o];
          links.push([o, i, k]);
        }
      }
    }
    const [from, to] = mode === "forward" ? [wideRow, narrowRow] : [narrowRow, wideRow];
    return { from, to, links, steps: narrow };
  }

  /* What is known after some steps, and what the last of them did: in numbers and in words. */
  function state(given, step) {
    const { from, to, links, steps } = axis(given);
    const all = step >= steps;
    const own = given.mode === "forward" ? 1 : 0;
    const known = new Map([...to].map(([at, cell]) => [at, { ...cell, value: own ? undefined : 0 }]));
    for (const [a, b, k] of links) {
      if (all || (own ? b : a) <= step) {
        const cell = known.get(b);
        cell.value = (cell.value ?? 0) + (k + 1) * from.get(a).value;
      }
    }
    const lit = all ? [] : links.filter((link) => link[own] === step);
    return { from, to: known, links, lit, steps, words: words(given.mode, from, to, lit, step, all, steps) };
  }

  function words(mode, from, to, lit, step, all, steps) {
    if (CHINESE) return chineseWords(mode, from, to, lit, step, all, steps);
    if (steps === 0) return "The kernel is longer than the input: there is no output.";
    if (all) {
      const done = { forward: "outputs, each the sum of a window", transposed: "inputs have gone to the output",
                     backward: "gradients have gone back to the input" };
      return `All steps: ${steps} ${done[mode]}.`;
    }
    if (mode === "forward") {
      const sum = lit.map(([i, , k]) => `${from.get(i).value}·${k + 1}`).join(" + ");
      return `Output ${step} = ${sum} = ${to.get(step).value}`;
    }
    const what = mode === "transposed" ? "Input" : "The gradient of output";
    const value = from.get(step).value;
    const parts = lit.map(([, i, k]) => `${value}·${k + 1} to ${to.get(i).inside ? i : "nothing (cut off)"}`);
    return `${what} ${step} is ${value}: it adds ${parts.join(", ")}`;
  }

  function chineseWords(mode, from, to, lit, step, all, steps) {
    if (steps === 0) return "卷积核比输入还长：没有输出。";
    if (all) {
      const done = { forward: "每个输出都是一个窗口的和", transposed: "每个输入都已到达输出", backward: "每个梯度都已回到输入" };
      return `全部 ${steps} 步：${done[mode]}。`;
    }
    if (mode === "forward") {
      const sum = lit.map(([i, , k]) => `${from.get(i).value}·${k + 1}`).join(" + ");
      return `输出 ${step} = ${sum} = ${to.get(step).value}`;
    }
    const what = mode === "transposed" ? "输入" : "输出的梯度";
    const value = from.get(step).value;
    const parts = lit.map(([, i, k]) => `${value}·${k + 1} ${to.get(i).inside ? `加到 ${i}` : "被裁掉"}`);
    return `${what} ${step} 是 ${value}：${parts.join("，")}`;
  }

  if (typeof module !== "undefined") {
    module.exports = { axis, state };
    return;
  }

  const NAMES = { forward: ["input", "output"], transposed: ["input", "output"], backward: ["grad. out", "grad. in"] };
  const TRANSLATED = {
    input: "输入", output: "输出", "grad. out": "输出梯度", "grad. in": "输入梯度", length: "长度", kernel: "卷积核",
    stride: "步长", dilation: "膨胀率", padding: "填充", Play: "播放", Pause: "暂停", Step: "单步", All: "全部", "the rows": "各行",
  };
  const label = (word) => (CHINESE ? TRANSLATED[word] : word);
  const DRAWN = ["svg", "rect", "line", "text", "circle"];

  function element(parent, name, attributes, text) {
    const node = document.createElementNS(`http://www.w3.org/${DRAWN.includes(name) ? "2000/svg" : "1999/xhtml"}`, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function draw(svg, given, now) {
    svg.replaceChildren();
    const rows = [now.from, now.to];
    const places = rows.flatMap((row) => [...row.values()].map((cell) => cell.place));
    const least = Math.min(...places, 0), most = Math.max(...places, 0);
    const width = LEFT + (most - least + 1) * CELL + 12, height = TOP + 2 * CELL + GAP + 26;
    const x = (cell) => LEFT + (cell.place - least) * CELL, y = [TOP, TOP + CELL + GAP];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    // Smaller, nobody could read it.
    svg.style.minWidth = `${0.78 * width}px`;
    svg.style.width = `${width}px`;
    const lit = new Set(now.lit);
    const line = (link, kind) => element(svg, "line", {
      class: kind, x1: x(now.from.get(link[0])) + CELL / 2, y1: y[0] + CELL, x2: x(now.to.get(link[1])) + CELL / 2, y2: y[1],
    });
    now.links.filter((link) => !lit.has(link)).forEach((link) => line(link, "link"));
    now.lit.forEach((link) => line(link, "lit"));
    rows.forEach((row, r) => {
      element(svg, "text", { class: r ? "to name" : "from name", x: LEFT - 8, y: y[r] + CELL / 2 }, label(NAMES[given.mode][r]));
      for (const [at, cell] of row) {
        const kind = `${r ? "to" : "from"}${cell.inside ? "" : " outside"}`;
        element(svg, "rect", { class: kind, x: x(cell), y: y[r], width: CELL, height: CELL });
        const value = cell.value === undefined ? "" : cell.value;
        element(svg, "text", { class: "value", x: x(cell) + CELL / 2, y: y[r] + CELL / 2 }, value);
        if (cell.inside) element(svg, "text", { class: "at", x: x(cell) + CELL / 2, y: r ? y[1] + CELL + 13 : 13 }, at);
      }
      // Above the frames of their neighbours.
      for (const link of now.lit) {
        element(svg, "rect", { class: "marked", x: x(row.get(link[r])), y: y[r], width: CELL, height: CELL });
      }
    });
    // Weights stand where the lines lie well apart: near the end at which they fan out.
    const part = given.mode === "forward" ? 0.32 : 0.68;
    for (const [a, b, k] of now.lit) {
      const begin = x(now.from.get(a)), end = x(now.to.get(b));
      const centre = { cx: begin + part * (end - begin) + CELL / 2, cy: TOP + CELL + part * GAP };
      element(svg, "circle", { class: "weight", ...centre, r: 11 });
      element(svg, "text", { class: "weight", x: centre.cx, y: centre.cy }, k + 1);
    }
  }

  const SLIDERS = [["n", "length", 1, 10], ["taps", "kernel", 1, 5], ["stride", "stride", 1, 4], ["dilation", "dilation", 1, 3]];

  function start(figure) {
    const given = { mode: figure.dataset.mode, padding: figure.dataset.padding };
    for (const [name] of SLIDERS) given[name] = Number(figure.dataset[name]);
    figure.replaceChildren();
    const controls = element(figure, "div", { class: "controls" });
    const outputs = {}, inputs = {};
    for (const [name, word, least, longest] of SLIDERS) {
      // The output of a transposed convolution is several times as long.
      const most = name === "n" && given.mode === "transposed" ? 6 : longest;
      const box = element(controls, "label", {}, `${label(word)} `);
      inputs[name] = element(box, "input", { type: "range", min: least, max: most, value: given[name] });
      outputs[name] = element(box, "output", {}, given[name]);
      inputs[name].addEventListener("input", () => change(name, Number(inputs[name].value)));
    }
    const box = element(controls, "label", {}, `${label("padding")} `);
    const select = element(box, "select", {});
    for (const padding of given.mode === "transposed" ? ["valid", "same"] : ["valid", "same", "causal"]) {
      element(select, "option", padding === given.padding ? { selected: "" } : {}, padding);
    }
    select.addEventListener("change", () => change("padding", select.value));
    const buttons = element(controls, "span", { class: "buttons" });
    const play = element(buttons, "button", { type: "button" }, label("Play"));
    const next = element(buttons, "button", { type: "button" }, label("Step"));
    const whole = element(buttons, "button", { type: "button" }, label("All"));
    const scroll = element(figure, "div", { class: "picture", tabindex: 0, role: "group", "aria-label": label("the rows") });
    const svg = element(scroll, "svg", { role: "img" });
    const said = element(figure, "p", { class: "said", "aria-live": "polite" });
    let step = Infinity, timer = null;

    function show() {
      const now = state(given, step);
      if (step > now.steps) step = now.steps;
      draw(svg, given, now);
      svg.setAttribute("aria-label", now.words);
      said.textContent = now.words;
    }
    function pause() {
      clearInterval(timer);
      timer = null;
      play.textContent = label("Play");
    }
    function advance() {
      step = step >= axis(given).steps ? 0 : step + 1;
      show();
      if (step >= axis(given).steps) pause();
    }
    function change(name, value) {
      given[name] = value;
      // Keras allows one of the two.
      const other = { stride: "dilation", dilation: "stride" }[name];
      if (other && value > 1) given[other] = 1;
      for (const [each] of SLIDERS) {
        inputs[each].value = given[each];
        outputs[each].textContent = given[each];
      }
      pause();
      step = Infinity;
      show();
    }
    play.addEventListener("click", () => {
      if (timer !== null) return pause();
      advance();
      timer = setInterval(advance, 1400);
      play.textContent = label("Pause");
    });
    next.addEventListener("click", () => { pause(); advance(); });
    const end = () => { pause(); step = Infinity; show(); };
    whole.addEventListener("click", end);
    // What moves on a screen is on paper as it ends.
    window.addEventListener("beforeprint", end);
    show();
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("div.sliding").forEach(start));
})();
