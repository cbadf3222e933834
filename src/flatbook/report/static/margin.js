/* Draws margin against spot with its liquidation points, and the scenario matrix of each underlying. */
(() => {
  const { axis, colour, config, dollars, element, layout, legendAbove, usd, number } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const { curve, points, matrices } = data;
  const percent = (x) => 100 * x;
  const signed = (x) => number(percent(x), Math.abs(percent(x) - Math.round(percent(x))) > 0.05 ? 1 : 0, true) + " %";

  function line(name, y, color, extra = {}) {
    return {
      type: "scatter", mode: "lines", name, x: curve.spot.map(percent), y, line: { color, width: 2, ...extra },
      hovertemplate: `${name} %{y:$,.0f}<extra></extra>`,
    };
  }
  const upright = (x, color, dash) => ({
    type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color, width: 1.2, dash },
  });
  const shown = points.filter((point) => point.move >= curve.spot[0] && point.move <= curve.spot[curve.spot.length - 1]);
  Plotly.react(element("curve"), [
    line("margin balance", curve.margin_balance_usd, colour("accent"), { width: 2.6 }),
    line("initial margin", curve.initial_margin_usd, colour("warn")),
    line("maintenance margin", curve.maintenance_margin_usd, colour("loss")),
  ], layout({
    height: 400, showlegend: true, legend: { ...legendAbove, y: 1.08 }, margin: { l: 8, r: 16, t: 46, b: 8 },
    xaxis: axis({ ticksuffix: " %", showline: true, ticks: "outside", hoverformat: "+.1f", nticks: 11 }),
    yaxis: dollars(),
    shapes: [upright(0, colour("faint"), "dot"), ...shown.map((point) => upright(percent(point.move), colour("loss"), "dash"))],
    annotations: shown.map((point) => ({
      x: percent(point.move), y: 1, yref: "paper", yanchor: "bottom", text: point.label, showarrow: false,
      font: { size: 11, color: colour("loss") },
    })),
  }), config);

  matrices.forEach((matrix, i) => {
    const z = matrix.rows.map((row) => row.pnl).reverse(), names = matrix.rows.map((row) => row.name).reverse();
    const most = Math.max(...z.flat().map((x) => Math.abs(x ?? 0)), 1);
    const compact = (x) => x === null ? "" : (x < 0 ? "−" : "") + "$" + Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(Math.abs(x));
    const labels = matrix.spot.map(signed);
    Plotly.react(element(`matrix-${i}`), [{
      type: "heatmap", x: labels, y: names, z, text: z.map((row) => row.map(compact)), texttemplate: "%{text}",
      textfont: { size: 10 }, zmin: -most, zmax: most, showscale: false, xgap: 2, ygap: 2, hoverongaps: false,
      colorscale: [[0, "#c4564d"], [0.5, "#f5f6f8"], [1, "#3f9a78"]],
      customdata: z.map((row) => row.map((x) => usd(x))), hovertemplate: "spot %{x}, %{y}: %{customdata}<extra></extra>",
    }], layout({
      height: 80 + 44 * names.length, hovermode: "closest",
      xaxis: axis({ type: "category", showgrid: false, side: "bottom", tickangle: 0 }), yaxis: { showgrid: false },
      annotations: [{
        x: 0, xref: "paper", y: 1, yref: "paper", yanchor: "bottom", xanchor: "left", showarrow: false,
        text: `worst: spot ${signed(matrix.worst.spot)}, ${usd(matrix.worst.pnl)}`, font: { size: 12, color: colour("loss") },
      }],
      margin: { l: 8, r: 8, t: 26, b: 8 },
    }), config);
  });
})();
