/* Draws one frontier a market, and the price of a market that answers to hedging. */
(() => {
  const { axis, colour, config, element, layout, usd, number } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const hues = { timer: "#a8b0bc", threshold: "#8d6e63", "fixed band": "#c98a1b", "Whalley–Wilmott": "#1f8a68", Zakamouline: "#8465b8" };
  const ours = ["#2457a6", "#b8473f", "#2f8f9d"];
  const shares = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995];

  function trace(curve, order) {
    const hue = hues[curve.rule] || ours[order % ours.length];
    const cost = curve.cost.map((interval) => interval[0]);
    const bars = (value, low, high) => ({
      type: "data", symmetric: false, array: high.map((x, k) => x - value[k]), arrayminus: value.map((x, k) => x - low[k]),
      color: hue, thickness: 1, width: 0,
    });
    return {
      type: "scatter", mode: "lines+markers", name: curve.rule, x: cost, y: curve.left,
      line: { color: hue, width: curve.classical ? 1.4 : 2.6, dash: curve.classical ? "solid" : order ? "dash" : "solid" },
      marker: { size: curve.classical ? 5 : 8, color: hue, symbol: curve.classical ? "circle" : "diamond" },
      /* All rules meet the same paths: bars of one curve say how far all of them may lie off together. */
      ...(curve.classical ? {} : { error_x: bars(cost, curve.cost.map((i) => i[1]), curve.cost.map((i) => i[2])), error_y: bars(curve.left, curve.least, curve.most) }),
      customdata: curve.left.map((left, k) =>
        `${curve.parameter} ${curve.value[k].toPrecision(3)}: ${number(100 * (1 - left), 2)} % of variance removed for ` +
        `${usd(cost[k])} a day<br>${usd(curve.deviation[k])} an hour left, ${number(curve.trades[k], 1)} trades a day`),
      hovertemplate: `<b>${curve.rule}</b><br>%{customdata}<extra></extra>`,
    };
  }

  data.markets.forEach((curves, number_) => {
    let order = 0;
    const traces = curves.map((curve) => trace(curve, curve.classical ? 0 : order++));
    const left = curves.flatMap((curve) => curve.least);
    const bottom = Math.log10(0.8 * Math.min(...left));
    Plotly.react(element(`frontier-${number_}`), traces, layout({
      height: 520, hovermode: "closest", showlegend: true, margin: { l: 8, r: 16, t: 8, b: 8 },
      legend: { orientation: "h", y: 1.06, x: 0, font: { size: 12 } },
      xaxis: axis({
        type: "log", showline: true, ticks: "outside", tickformat: "$,.3~r", dtick: "D2",
        title: { text: "cost, USD a day", font: { size: 12 }, standoff: 10 },
      }),
      yaxis: {
        type: "log", range: [Math.log10(1.2), bottom], tickvals: shares.map((share) => 1 - share),
        ticktext: shares.map((share) => `${+(100 * share).toFixed(2)} %`),
      },
    }), config);
  });

  if (data.feedback.length) {
    const tones = [colour("accent"), colour("loss"), colour("gain"), colour("warn")];
    const lines = data.feedback.map((run, k) => ({
      type: "scatter", mode: "lines", name: run.name, x: run.seconds, y: run.price_bp, line: { color: tones[k % tones.length], width: 1.8 },
      hovertemplate: `${run.name}: %{y:.1f} bp<extra></extra>`,
    }));
    const own = data.feedback[0];
    lines.push({
      type: "scatter", mode: "lines", name: "the market by itself", x: own.seconds, y: own.market_bp,
      line: { color: colour("muted"), width: 1.4, dash: "dot" }, hovertemplate: "by itself: %{y:.1f} bp<extra></extra>",
    });
    Plotly.react(element("feedback-price"), lines, layout({
      height: 380, hovermode: "x", showlegend: true, legend: { orientation: "h", y: 1.08, x: 0 },
      xaxis: axis({ showgrid: false, showline: true, ticksuffix: " s", tickformat: ",d" }), yaxis: { ticksuffix: " bp" },
    }), config);
    element("feedback-says").textContent = data.feedback.filter((run) => run.says).map((run) => `${run.name}: ${run.says}`).join(" · ");
  }
})();
