/* Draws a stressed book: the grid as a heat map, the ladder, scenarios and positions from the worst. */
(() => {
  const { axis, colour, config, element, layout, legendAbove, picks, usd } = flatbook;
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
      xaxis: axis({ tickformat: "+.0%", showgrid: false, zeroline: true, hoverformat: "+.1%" }), yaxis: { tickformat: "$,.3~s", zeroline: true },
    }), config);
  }

  function drawBars(id, names, values) {
    Plotly.react(element(id), [{
      type: "bar", orientation: "h", y: names, x: values, marker: { color: values.map((x) => colour(x < 0 ? "loss" : "gain")) },
      hovertemplate: "%{y}: %{x:$,.0f}<extra></extra>", text: values.map((x) => usd(x)), textposition: "auto", cliponaxis: false, textfont: { size: 11 },
    }], layout({
      height: 70 + 24 * names.length, hovermode: "closest", bargap: 0.3,
      xaxis: axis({ tickformat: "$,.3~s", zeroline: true, zerolinewidth: 1.5 }), yaxis: { autorange: "reversed", showgrid: false, type: "category" },
    }), config);
  }

  picks(element("grid-days"), days.map((d) => (d === 0 ? "at once" : `after ${+d.toFixed(2)} d`)), drawGrid);
  drawLadder();
  drawBars("scenarios-chart", data.scenarios.map((one) => one.name), data.scenarios.map((one) => one.pnl));
  drawBars("positions-chart", data.positions.names, data.positions.pnl);
})();
