/* Draws a calibrated chain: smiles over bid and ask, the surface, the arbitrage checks, the term structure. */
(() => {
  const { axis, colour, config, element, layout, legendAbove } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const known = (value) => value !== null;

  function draw(id, traces, options) {
    const box = element(id);
    if (box) Plotly.react(box, traces, layout({ hovermode: "closest", ...options }), config);
  }
  /* Light for the first expiry, dark for the last. */
  function shade(i, n) {
    const from = [150, 186, 235], to = [16, 44, 92], share = n > 1 ? i / (n - 1) : 1;
    return `rgb(${from.map((part, j) => Math.round(part + share * (to[j] - part))).join(",")})`;
  }
  const upright = (x, dash, color) => ({
    type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color, width: 1, dash },
  });
  const level = (y) => ({
    type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour("loss"), width: 1, dash: "dot" },
  });

  function drawSmile(smile, i) {
    const { curve, band, bids, asks } = smile;
    const middle = band.lo.map((lo, j) => (lo + band.hi[j]) / 2), half = band.lo.map((lo, j) => (band.hi[j] - lo) / 2);
    const side = (points, name, symbol) => ({
      type: "scatter", mode: "markers", name, x: points.x, y: points.y,
      marker: { symbol, size: 5, color: colour("faint") }, hovertemplate: `%{x:,.0f}: ${name} %{y:.1f} %<extra></extra>`,
    });
    const tone = { fitted: "accent", aged: "warn", missing: "faint" }[smile.status];
    draw(`smile-${i}`, [
      {
        type: "scatter", mode: "markers", x: band.x, y: middle, customdata: band.lo.map((lo, j) => [lo, band.hi[j]]),
        error_y: { type: "data", array: half, thickness: 1.4, width: 0, color: "#8793a6" }, marker: { size: 3, color: "#5c6675" },
        hovertemplate: "%{x:,.0f}: %{customdata[0]:.1f} to %{customdata[1]:.1f} %<extra></extra>",
      },
      side(bids, "bid", "triangle-up"), side(asks, "ask", "triangle-down"),
      {
        type: "scatter", mode: "lines", x: curve.x, y: curve.y, line: { color: colour(tone), width: 2 },
        hovertemplate: "%{x:,.0f}: fit %{y:.2f} %<extra></extra>",
      },
    ], {
      height: 210, shapes: known(smile.forward) ? [upright(smile.forward, "dot", colour("faint"))] : [],
      xaxis: axis({ type: "log", showgrid: false, range: span(curve.x), ...strikeTicks(curve.x) }),
      yaxis: { ticksuffix: " %", nticks: 5, range: smile.range || undefined },
    });
  }
  function span(strikes) {
    if (!strikes.every(known)) return undefined;
    const low = Math.log10(strikes[0]), high = Math.log10(strikes[strikes.length - 1]), room = 0.03 * (high - low);
    return [low - room, high + room];
  }

  /* Round strikes, some five of them, evenly apart on a log axis. */
  function strikeTicks(strikes) {
    if (!strikes.every(known)) return {};
    const low = strikes[0], high = strikes[strikes.length - 1], ticks = [];
    const gap = Math.log(high / low) / 4.5;
    for (let at = low; at <= high; ) {
      const step = 10 ** Math.floor(Math.log10((Math.exp(gap) - 1) * at));
      const round = [1, 2, 2.5, 5, 10].map((part) => part * step).find((part) => part >= 0.6 * (Math.exp(gap) - 1) * at);
      const tick = Math.ceil(at / round - 1e-9) * round;
      if (tick <= high) ticks.push(tick);
      at = Math.max(tick, at) * Math.exp(gap);
    }
    return { tickvals: ticks, ticktext: ticks.map((tick) => (tick >= 1000 ? `${+(tick / 1000).toFixed(3)}k` : `${+tick.toFixed(3)}`)) };
  }

  function drawGrid() {
    const grid = data.grid, box = element("grid");
    if (!grid.z.length) {
      box.textContent = "A surface needs two expiries.";
      return;
    }
    const tenors = [0.1, 0.25, 0.5, 1, 2, 4, 7, 14, 30, 60, 120, 240, 365].filter((d) => d >= grid.y[0] && d <= grid.y[grid.y.length - 1]);
    /* Seen from the end where vol is lower, or the high end hides the other. */
    const middle = Math.floor(grid.x.length / 2), highIsNear = grid.z[0][middle] > grid.z[grid.z.length - 1][middle];
    const scene = (title, extra = {}) => ({
      title: { text: title, font: { size: 11, color: colour("muted") } }, tickfont: { size: 10, color: colour("muted") },
      gridcolor: colour("line"), zerolinecolor: colour("line"), showbackground: false, ...extra,
    });
    const lines = grid.slices.map((slice) => ({
      type: "scatter3d", mode: "lines", x: grid.x, y: grid.x.map(() => Math.log10(slice.days)), z: slice.vol,
      line: { color: "#1a2230", width: 3 }, hovertemplate: `${slice.expiry}, %{x:.1f} sd: %{z:.1f} %<extra></extra>`,
    }));
    Plotly.react(box, [{
      type: "surface", x: grid.x, y: grid.y.map((d) => Math.log10(d)), z: grid.z, showscale: false,
      colorscale: [[0, "#10305e"], [0.3, "#2457a6"], [0.55, "#79a8f0"], [0.75, "#e8d9b0"], [1, "#c9772b"]],
      contours: { z: { show: true, color: "rgba(255,255,255,.35)", width: 1, usecolormap: false } },
      lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.05, roughness: 0.9 },
      customdata: grid.y.map((d) => grid.x.map(() => d)),
      hovertemplate: "%{customdata:.1f} d, %{x:.1f} sd: %{z:.1f} %<extra></extra>",
    }, ...lines], layout({
      height: 560, margin: { l: 0, r: 0, t: 0, b: 0 }, hovermode: "closest",
      scene: {
        xaxis: scene("standard deviations"), zaxis: scene("vol, %"),
        yaxis: scene("days", { tickvals: tenors.map((d) => Math.log10(d)), ticktext: tenors.map(String) }),
        aspectratio: { x: 1.5, y: 1.6, z: 0.8 }, camera: { eye: { x: -0.9, y: highIsNear ? 2.05 : -2.05, z: 0.9 }, center: { x: 0, y: 0, z: -0.26 } },
      },
    }), config);
  }

  function drawChecks() {
    const n = data.checks.length;
    const curves = (x, y, format) => data.checks.filter((check) => check[y]).map((check) => {
      const i = data.checks.indexOf(check);
      return {
        type: "scatter", mode: "lines", name: check.expiry, x: check[x], y: check[y], line: { color: shade(i, n), width: 1.4 },
        hovertemplate: `${check.expiry}, %{x:.2f}: %{y:${format}}<extra></extra>`,
      };
    });
    const options = { height: 290, xaxis: axis({ nticks: 7 }) };
    draw("density", curves("z", "density", ".3f"), { ...options, yaxis: { rangemode: "tozero" } });
    draw("g", curves("z", "g", ".3f"), { ...options, shapes: [level(0)] });
    draw("variance", curves("k", "variance", ".5f"), {
      ...options, xaxis: axis({ nticks: 7, range: [-1.2, 1.2] }), yaxis: { type: "log", tickformat: ".0e", dtick: 1 },
    });
    draw("rise", curves("z", "rise", ".1f"), {
      ...options, shapes: [level(0)], yaxis: { ticksuffix: " %", rangemode: "tozero", range: [-10, Math.min(400, highest("rise"))] },
    });
  }
  function highest(name) {
    return 1.08 * Math.max(20, ...data.checks.filter((check) => check[name]).flatMap((check) => check[name]));
  }

  function drawTerm() {
    const { term, forwards } = data;
    const days = axis({ type: "log", tickvals: [0.1, 0.3, 1, 3, 7, 14, 30, 60, 120, 240, 365], ticktext: ["0.1", "0.3", "1", "3", "7", "14", "30", "60", "120", "240", "365"] });
    const bars = (values) => ({ type: "data", array: values, thickness: 1.2, width: 4, color: colour("faint") });
    const steps = { x: [], y: [] };
    term.days.forEach((end, i) => {
      steps.x.push(i ? term.days[i - 1] : end / 3, end);
      steps.y.push(term.forward_vol[i], term.forward_vol[i]);
    });
    draw("term-vol", [
      { type: "scatter", mode: "lines", name: "of the span between expiries", ...steps, line: { color: "#dcb066", width: 1.4 }, hovertemplate: "span: %{y:.1f} %<extra></extra>" },
      {
        type: "scatter", mode: "lines+markers", name: "to expiry", x: term.days, y: term.vol, customdata: term.expiry, error_y: bars(term.error),
        line: { color: colour("accent"), width: 1.8 }, marker: { size: 6, color: term.aged.map((why) => colour(why ? "warn" : "accent")) },
        hovertemplate: "%{customdata}: %{y:.2f} %<extra></extra>",
      },
    ], { height: 290, showlegend: true, legend: legendAbove, xaxis: days, yaxis: { ticksuffix: " %", nticks: 6 } });
    draw("term-carry", [{
      type: "scatter", mode: "lines+markers", x: forwards.days, y: forwards.rate, customdata: forwards.expiry, error_y: bars(forwards.error),
      line: { color: "#2f8f9d", width: 1.6 }, marker: { size: 6 }, hovertemplate: "%{customdata}: %{y:.2f} % a year<extra></extra>",
    }], { height: 290, xaxis: days, yaxis: { ticksuffix: " %", nticks: 6, range: carryRange(forwards) } });
  }
  /* A basis point on a forward of a few hours is hundreds of per cent a year: those do not set the scale. */
  function carryRange({ days, rate }) {
    const far = rate.filter((_, i) => days[i] >= 5);
    if (!far.length) return undefined;
    const low = Math.min(...far), high = Math.max(...far), room = Math.max(1, high - low);
    return [low - room, high + room];
  }

  data.smiles.forEach(drawSmile);
  drawGrid();
  drawChecks();
  drawTerm();
})();
