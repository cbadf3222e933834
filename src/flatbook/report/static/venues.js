/* Draws each venue's margin use, now and after the transfers, beside the uses at which money is asked for and meant. */
(() => {
  const { axis, colour, config, element, layout, legendAbove } = flatbook;
  const { bounds, venues } = JSON.parse(element("data").textContent);
  const most = 1.5, names = venues.map((row) => row.venue).reverse();
  const shown = (value) => Math.min(100 * (value ?? most), 100 * most);
  const bars = (name, key, color) => ({
    type: "bar", orientation: "h", name, y: names, x: venues.map((row) => shown(row[key])).reverse(), marker: { color },
    text: venues.map((row) => row[key] === null ? "nothing there" : (100 * row[key]).toFixed(0) + " %").reverse(),
    textposition: "outside", cliponaxis: false, hovertemplate: `${name} %{text}<extra>%{y}</extra>`,
  });
  const upright = (x, color, dash) => ({
    type: "line", xref: "x", yref: "paper", x0: 100 * x, x1: 100 * x, y0: 0, y1: 1, line: { color, width: 1.4, dash },
  });
  const widest = Math.max(100, ...venues.flatMap((row) => [shown(row.now), shown(row.after)]));
  Plotly.react(element("use-chart"), [
    bars("after", "after", colour("accent")), bars("now", "now", colour("faint")),
  ], layout({
    height: 110 + 56 * names.length, barmode: "group", hovermode: "closest", showlegend: true,
    legend: { ...legendAbove, y: 1.12, traceorder: "reversed" }, margin: { l: 8, r: 40, t: 46, b: 8 },
    xaxis: axis({ ticksuffix: " %", range: [0, 1.08 * widest], showline: true, ticks: "outside" }),
    yaxis: { showgrid: false, type: "category" },
    shapes: [
      upright(bounds.target_use, colour("accent"), "solid"), upright(bounds.call_at_use, colour("warn"), "dash"),
      upright(1, colour("loss"), "solid"),
    ],
  }), config);
})();
