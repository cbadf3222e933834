/* Draws what a book may gain or lose by method, who it comes from, and forecasts against what came. */
(() => {
  const { axis, colour, config, dates, dollars, element, layout, legendAbove, timeAxis, usd } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const methods = {
    historical: ["Historical", "#c98a1b"], filtered: ["Filtered historical", "#2457a6"],
    monte_carlo: ["Monte Carlo", "#1f8a68"], delta_gamma_vega: ["Delta-gamma-vega", "#8465b8"],
  };
  const legend = { showlegend: true, legend: legendAbove };

  function drawDistribution() {
    const middles = data.edges.slice(1).map((edge, i) => (edge + data.edges[i]) / 2);
    const names = Object.keys(data.methods);
    const top = Math.max(...names.flatMap((name) => data.methods[name].share));
    const traces = names.map((name) => {
      const { share, var: quantile, es, var_error: error, es_error: tail } = data.methods[name], [title, color] = methods[name];
      return {
        type: "scatter", mode: "lines", name: `${title}: VaR ${usd(quantile)} ± ${usd(error)}, ES ${usd(es)} ± ${usd(tail)}`, x: middles, y: share,
        line: { color, width: 1.8, shape: "hvh" }, fill: "tozeroy", fillcolor: color + "18",
        hovertemplate: `${title}: %{y:.2%} around %{x:$,.0f}<extra></extra>`,
      };
    });
    const lines = names.flatMap((name, i) => [[data.methods[name].var, "dash"], [data.methods[name].es, "dot"]].map(([loss, dash]) => ({
      type: "line", xref: "x", yref: "paper", x0: -loss, x1: -loss, y0: 0, y1: 0.96 - 0.12 * i, line: { color: methods[name][1], width: 1.5, dash },
    })));
    Plotly.react(element("distribution-chart"), traces, layout({
      height: 420, hovermode: "x", showlegend: true, legend: { orientation: "v", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", font: { size: 12 } },
      shapes: lines, xaxis: axis({ ...dollars(), showgrid: false, zeroline: true }), yaxis: { tickformat: "~%", range: [0, 1.05 * top] },
    }), config);
  }

  function drawComponents() {
    const { names, values } = data.components;
    const traces = Object.keys(values).map((name) => ({
      type: "bar", orientation: "h", name: methods[name][0], y: names, x: values[name], marker: { color: methods[name][1] },
      hovertemplate: `%{y}, ${methods[name][0]}: %{x:$,.0f}<extra></extra>`,
    }));
    Plotly.react(element("components-chart"), traces, layout({
      height: 90 + names.length * (14 + 11 * traces.length), hovermode: "closest", barmode: "group", bargap: 0.25, ...legend,
      xaxis: axis({ ...dollars(), zeroline: true, zerolinewidth: 1.5 }), yaxis: { autorange: "reversed", showgrid: false },
    }), config);
  }

  function drawBacktest() {
    const { t, pnl, methods: forecasts } = data.backtest, x = dates(t), names = Object.keys(forecasts);
    const steps = t.slice(1).map((end, i) => end - t[i]), usual = [...steps].sort((a, b) => a - b)[steps.length >> 1];
    /* A forecast is not drawn on across a gap in the history. */
    const unbroken = (values) => values.map((value, i) => (i < steps.length && steps[i] > 4 * usual ? null : value));
    const traces = [{
      type: "bar", name: "P&L", x, y: pnl, marker: { color: "#a8b0bc" }, hovertemplate: "%{x|%d %b %H:%M}: %{y:$,.0f}<extra></extra>",
    }];
    names.forEach((name) => traces.push({
      type: "scatter", mode: "lines", name: methods[name][0], x, y: unbroken(forecasts[name].var.map((value) => -value)),
      line: { color: methods[name][1], width: 1.6, shape: "hv" }, connectgaps: false,
      hovertemplate: `${methods[name][0]} VaR: %{y:$,.0f}<extra></extra>`,
    }));
    names.forEach((name, i) => {
      const beyond = pnl.map((gain, k) => [k, gain]).filter(([k, gain]) => gain < -forecasts[name].var[k]);
      traces.push({
        type: "scatter", mode: "markers", name: `beyond ${methods[name][0]}`, showlegend: false, x: beyond.map(([k]) => x[k]), y: beyond.map(([, gain]) => gain),
        marker: { color: methods[name][1], size: 9 + 4 * i, symbol: "circle-open", line: { width: 1.8 } },
        hovertemplate: `beyond ${methods[name][0]}: %{y:$,.0f}<extra></extra>`,
      });
    });
    Plotly.react(element("backtest-chart"), traces, layout({
      height: 380, hovermode: "closest", ...legend, xaxis: timeAxis(), yaxis: dollars(),
    }), config);
  }

  drawDistribution();
  drawComponents();
  if (data.backtest) drawBacktest();
})();
