/* Draws a stressed book: the grid as a heat map, the ladder, scenarios and positions from the worst, crises as paths. */
(() => {
  const { axis, colour, config, dollars, element, layout, legendAbove, picks, usd } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const percent = (share) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${+Math.abs(100 * share).toFixed(1)} %`;

  function short(x) {
    const size = Math.abs(x), sign = x < 0 ? "−" : "";
    if (size >= 1e9) return `${sign}${(size / 1e9).toFixed(1)}G`;
    if (size >= 1e6) return `${sign}${(size / 1e6).toFixed(1)}M`;
    if (size >= 1e3) return `${sign}${(size / 1e3).toFixed(size < 1e4 ? 1 : 0)}k`;
    return `${sign}${size.toFixed(0)}`;
  }

  const { spot, vol, days, pnl_usd: pnl } = data.grid;
  /* Most cells are small beside the worst: colours go by the root, so that the middle can be told apart. */
  const most = Math.max(...pnl.flat(2).map(Math.abs), 1);
  const root = (x) => Math.sign(x) * Math.sqrt(Math.abs(x) / most);
  function drawGrid(day) {
    const cells = pnl[day];
    Plotly.react(element("grid-chart"), [{
      type: "heatmap", x: spot.map(percent), y: vol.map(percent), z: cells.map((row) => row.map(root)), zmin: -1, zmax: 1,
      text: cells.map((row) => row.map(short)), customdata: cells, texttemplate: "%{text}", textfont: { size: 11 }, showscale: false, xgap: 2, ygap: 2,
      colorscale: [[0, "#b8473f"], [0.35, "#e5b0aa"], [0.5, "#f6f5f2"], [0.65, "#a9d3c4"], [1, "#1f8a68"]],
      hovertemplate: "spot %{x}, vols %{y}: %{customdata:$,.0f}<extra></extra>",
    }], layout({
      height: 90 + 46 * vol.length, hovermode: "closest", xaxis: axis({ type: "category", showgrid: false, title: { text: "spot", font: { size: 11 } } }),
      yaxis: { type: "category", showgrid: false, title: { text: "vols", font: { size: 11 } } },
    }), config);
  }

  function drawLadder() {
    const { spot: x, vol: vols, pnl_usd: rows } = data.ladder;
    const shade = (i) => {
      const from = [150, 186, 235], to = [16, 44, 92], share = vols.length > 1 ? i / (vols.length - 1) : 1;
      return `rgb(${from.map((part, j) => Math.round(part + share * (to[j] - part))).join(",")})`;
    };
    const traces = rows.map((row, i) => ({
      type: "scatter", mode: "lines", name: `vols ${percent(vols[i])}`, x, y: row,
      line: { color: vols[i] === 0 ? colour("loss") : shade(i), width: vols[i] === 0 ? 2.6 : 1.6 },
      hovertemplate: `vols ${percent(vols[i])}: %{y:$,.0f}<extra></extra>`,
    }));
    const shapes = data.limit === null ? [] : [{
      type: "line", xref: "paper", x0: 0, x1: 1, y0: -data.limit, y1: -data.limit, line: { color: colour("loss"), width: 1, dash: "dash" },
    }];
    Plotly.react(element("ladder-chart"), traces, layout({
      height: 400, showlegend: true, legend: legendAbove, shapes,
      xaxis: axis({ tickformat: "+.0%", showgrid: false, zeroline: true, hoverformat: "+.1%" }), yaxis: { ...dollars(), zeroline: true },
    }), config);
  }

  function drawBars(id, names, values) {
    Plotly.react(element(id), [{
      type: "bar", orientation: "h", y: names, x: values, marker: { color: values.map((x) => colour(x < 0 ? "loss" : "gain")) },
      hovertemplate: "%{y}: %{x:$,.0f}<extra></extra>", text: values.map((x) => usd(x)), textposition: "auto", cliponaxis: false, textfont: { size: 11 },
    }], layout({
      height: 70 + 24 * names.length, hovermode: "closest", bargap: 0.3,
      xaxis: axis({ ...dollars(), zeroline: true, zerolinewidth: 1.5 }), yaxis: { autorange: "reversed", showgrid: false, type: "category" },
    }), config);
  }

  const HUES = ["#b8473f", "#c98a1b", "#8465b8", "#2f6cc0", "#1f8a68", "#6f7b8b"];
  function drawPaths(id, key, format, hover, marks = []) {
    const traces = data.crises.flatMap((one, i) => {
      const line = { type: "scatter", mode: "lines", name: one.name, x: one.hours, y: one[key], legendgroup: one.name, line: { color: HUES[i % HUES.length], width: 1.8 }, hovertemplate: `${one.name} %{y:${hover}}<extra></extra>` };
      const at = (hour) => one[key][one.hours.findIndex((h) => h >= hour)];
      const quiet = { legendgroup: one.name, showlegend: false, hoverinfo: "skip" };
      const out = one.outage === null ? [] : [{ ...line, ...quiet, x: one.hours.filter((h) => h >= one.outage[0] && h <= one.outage[1]), y: one[key].filter((_, j) => one.hours[j] >= one.outage[0] && one.hours[j] <= one.outage[1]), line: { color: HUES[i % HUES.length], width: 6 }, opacity: 0.35 }];
      const points = marks.filter(([field]) => one[field] !== null).map(([field, symbol]) => ({ type: "scatter", mode: "markers", x: [one[field]], y: [at(one[field])], marker: { symbol, size: 10, color: HUES[i % HUES.length], line: { width: 1.5, color: HUES[i % HUES.length] } }, ...quiet }));
      return [line, ...out, ...points];
    });
    Plotly.react(element(id), traces, layout({
      height: 320, showlegend: true, legend: legendAbove,
      xaxis: axis({ showgrid: false, ticksuffix: " h", hoverformat: ".1f" }), yaxis: { ...format, zeroline: true },
    }), config);
  }
  function drawCrises() {
    const moments = [["call", "circle"], ["closed", "x"]];
    drawPaths("crisis-pnl-chart", "pnl", dollars(), "$,.0f", moments);
    if (element("crisis-use-chart")) drawPaths("crisis-use-chart", "use", { tickformat: ".0%" }, ".1%", moments);
    drawPaths("crisis-spot-chart", "spot", { tickformat: ".0%" }, ".1%");
    drawPaths("crisis-delta-chart", "delta", dollars(), "$,.0f");
  }

  picks(element("grid-days"), days.map((d) => (d === 0 ? "at once" : `after ${+d.toFixed(2)} d`)), drawGrid);
  drawLadder();
  drawBars("scenarios-chart", data.scenarios.map((one) => one.name), data.scenarios.map((one) => one.pnl));
  drawBars("positions-chart", data.positions.names, data.positions.pnl);
  if (data.crises) drawCrises();
})();
