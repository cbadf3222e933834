/* Draws rates against depth with their fits, the map of buckets, markouts, and flow over time. */
(() => {
  const { axis, colour, config, dates, element, layout, number, picks, timeAxis } = flatbook;
  const data = JSON.parse(element("data").textContent);
  const hues = ["#2457a6", "#c98a1b", "#1f8a68", "#8465b8", "#b8473f", "#2f8f9d", "#6f7b8b", "#7a9fe0", "#8d6e63"];
  const below = { orientation: "h", x: 0, y: -0.16, yanchor: "top", font: { size: 12 } };
  const title = (text) => ({ text, font: { size: 12 }, standoff: 10 });

  let tenor = 0, side = 1;
  function drawRates() {
    const curves = data.rates[tenor].sides[side];
    const traces = curves.flatMap((curve, k) => [
      {
        type: "scatter", mode: "lines", x: curve.at, y: curve.fit, line: { color: hues[k], width: 1.8 }, name: curve.name,
        legendgroup: curve.name, showlegend: false, hoverinfo: "skip",
      },
      {
        type: "scatter", mode: "markers", x: curve.depth.map((d) => d + 0.03 * (k - 2)), y: curve.rate, name: curve.name, legendgroup: curve.name,
        marker: { color: hues[k], size: 7 },
        error_y: {
          type: "data", symmetric: false, array: curve.high.map((x, i) => x - curve.rate[i]), arrayminus: curve.low.map((x, i) => curve.rate[i] - x),
          color: hues[k], thickness: 1, width: 0,
        },
        customdata: curve.depth, hovertemplate: `${curve.name}: %{y:.3g} a day at %{customdata:.1f} units<extra></extra>`,
      },
    ]);
    const rates = curves.flatMap((curve) => [...curve.rate, ...curve.fit]).filter((x) => x > 0);
    const span = rates.length ? [Math.log10(Math.min(...rates)) - 0.25, Math.log10(Math.max(...rates)) + 0.25] : undefined;
    Plotly.react(element("rate"), traces, layout({
      height: 440, hovermode: "closest", showlegend: true, legend: below,
      xaxis: axis({ showline: true, zeroline: false, ticks: "outside", title: title("depth beyond fair value, units") }),
      yaxis: { type: "log", range: span, exponentformat: "none", dtick: "D2" },
    }), config);
  }
  picks(element("tenor-picks"), data.rates.map((entry) => entry.tenor), (i) => { tenor = i; drawRates(); }, 1);
  picks(element("side-picks"), ["takers sell", "takers buy"], (i) => { side = i; drawRates(); }, 1);

  const { tenors, strikes, measures } = data.maps;
  const names = Object.keys(measures);
  picks(element("map-picks"), names, (i) => {
    const z = measures[names[i]], isRate = i === 0;
    Plotly.react(element("heat"), [{
      type: "heatmap", x: strikes, y: tenors, z: isRate ? z.map((row) => row.map((x) => x > 0 ? Math.log10(x) : null)) : z,
      text: z.map((row) => row.map((x) => x === null ? "" : Number(x.toPrecision(2)).toString())), texttemplate: "%{text}", textfont: { size: 11 },
      colorscale: [[0, colour("ground")], [0.5, "#a9c4ec"], [1, colour("accent")]], showscale: false, xgap: 1, ygap: 1,
      customdata: z, hovertemplate: `%{y}, %{x}: %{customdata:.3g}<extra>${names[i]}</extra>`,
    }], layout({
      height: 360, hovermode: "closest", xaxis: axis({ showgrid: false, type: "category" }), yaxis: { showgrid: false, type: "category", autorange: "reversed" },
    }), config);
  });

  let measure = 0, group = 0;
  function drawMarkouts() {
    const { unit, groups } = data.markouts[measure];
    const labels = ["trade", ...data.horizons.slice(1).map((s) => s < 60 ? `${s} s` : s < 3600 ? `${s / 60} min` : `${s / 3600} h`)];
    const curves = groups[group].curves;
    const traces = curves.map((curve, k) => ({
      type: "scatter", mode: "lines+markers", name: `${curve.name} (${number(curve.count)})`,
      x: labels.map((_, i) => i + 0.04 * (k - (curves.length - 1) / 2)), y: curve.mean, line: { color: hues[k % hues.length], width: 1.8 }, marker: { size: 7 },
      error_y: { type: "data", array: curve.error, color: hues[k % hues.length], thickness: 1, width: 0 },
      customdata: curve.error.map((error, i) => `${labels[i]}: ${Number(curve.mean[i] || 0).toPrecision(3)} ± ${Number(error || 0).toPrecision(2)}`),
      hovertemplate: `${curve.name}, %{customdata}<extra></extra>`,
    }));
    Plotly.react(element("markout"), traces, layout({
      height: 420, hovermode: "closest", showlegend: true, legend: below,
      xaxis: axis({ tickvals: labels.map((_, i) => i), ticktext: labels, showgrid: false, zeroline: false, showline: true, ticks: "outside" }),
      yaxis: { zeroline: true, title: title(unit) },
    }), config);
  }
  picks(element("measure-picks"), data.markouts.map((entry) => entry.name), (i) => { measure = i; drawMarkouts(); });
  picks(element("group-picks"), data.markouts[0].groups.map((entry) => entry.name), (i) => { group = i; drawMarkouts(); }, 1);

  const x = dates(data.history.t);
  const one = (id, name, y, options) => Plotly.react(element(id), [{
    type: "scatter", mode: "lines", name, x, y, line: { color: colour("accent"), width: 1.4 }, hovertemplate: "%{y:.3g}",
  }], layout({ height: 220, xaxis: timeAxis(), yaxis: options }), config);
  one("vpin", "VPIN", data.history.vpin, { rangemode: "tozero" });
  one("activity", "Activity", data.history.activity, { type: "log", exponentformat: "none", dtick: "D2" });
})();
