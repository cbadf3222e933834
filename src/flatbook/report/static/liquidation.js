/* Draws what accounts come to owe against an engine's lateness and mis-valuation, and who pays. */
(() => {
  const { axis, colour, config, dollars, element, layout, legendAbove } = flatbook;
  const { late, late_names, misvalued, misvalued_names, owers, engines } = JSON.parse(element("data").textContent);
  const hues = ["#2457a6", "#1f8a68", "#c98a1b", "#b8473f", "#8465b8", "#2f8f9d"];
  /* Lateness spans from nothing to minutes: even steps of its logarithm from five seconds on. */
  const place = (seconds) => Math.log1p(seconds / 5);
  const lateAxis = () => axis({
    tickvals: late.map(place), ticktext: late_names, showline: true, ticks: "outside", title: { text: "lateness", font: { size: 11 } },
  });
  const shown = { showlegend: true, legend: { ...legendAbove, y: 1.06 }, margin: { l: 8, r: 16, t: 40, b: 8 } };
  const bp = (x) => 1e4 * x;

  function line(name, x, rows, hue, field, scale) {
    const errors = rows.map((row) => row[`${field}_error`]);
    return {
      type: "scatter", mode: "lines+markers", name, x, y: rows.map((row) => scale(row[field])), line: { color: hue, width: 2 }, marker: { size: 6 },
      error_y: errors.every((error) => error !== null)
        ? { type: "data", array: errors.map((error) => 2 * scale(error)), color: hue, thickness: 1.2, width: 4 } : undefined,
      hovertemplate: `${name}: %{y:.1f}<extra></extra>`,
    };
  }

  Plotly.react(element("by-late"), misvalued.map((_, j) => line(
    misvalued_names[j], late.map(place), engines.map((row) => row[j]), hues[j % hues.length], "debts_share", bp,
  )), layout({ height: 400, ...shown, xaxis: lateAxis(), yaxis: { rangemode: "tozero", ticksuffix: " bp" } }), config);

  Plotly.react(element("by-value"), late.map((_, i) => line(
    late_names[i] + " late", misvalued.map((share) => 100 * share), engines[i], hues[i % hues.length], "debts_share", bp,
  )), layout({
    height: 400, ...shown, yaxis: { rangemode: "tozero", ticksuffix: " bp" },
    xaxis: axis({ ticksuffix: " %", showline: true, ticks: "outside", title: { text: "collateral taken for too much by", font: { size: 11 } } }),
  }), config);

  Plotly.react(element("uncovered"), misvalued.map((_, j) => line(
    misvalued_names[j], late.map(place), engines.map((row) => row[j]), hues[j % hues.length], "uncovered", (x) => 100 * x,
  )), layout({ height: 320, ...shown, xaxis: lateAxis(), yaxis: { range: [-2, 105], ticksuffix: " %" } }), config);

  /* A bar an engine, grouped by lateness: the parts stand on each other, what the fund earned hangs below. */
  const names = late_names.flatMap((name) => misvalued.map(() => name + " late"));
  const within = late.flatMap(() => misvalued_names);
  const all = engines.flat();
  const stacked = (id, parts) => Plotly.react(element(id), parts.map(([field, name, color]) => ({
    type: "bar", name, x: [names, within], y: all.map((row) => row[field]), marker: { color },
    hovertemplate: `${name}: %{y:$,.0f}<extra></extra>`,
  })), layout({
    height: 420, barmode: "relative", bargap: 0.3, ...shown, xaxis: axis({ type: "multicategory", showgrid: false, tickangle: 90, dividerwidth: 0 }), yaxis: dollars(),
  }), config);
  stacked("payers", [["fund_loss_usd", "insurance fund", colour("accent")], ["deleveraged_usd", "winners", colour("warn")], ["socialised_usd", "everybody", colour("loss")]]);
  if (owers.length) stacked("owers", owers.map(([field, name], i) => [field, name, hues[i % hues.length]]));
})();
