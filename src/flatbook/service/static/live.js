/* The live page: takes a view about four times a second and moves what changed. */
(() => {
  const { age, axis, colour, config, dates, dollars, element, fade, isKnown, layout, legendAbove, number, picks, time, timeAxis, usd, words } = flatbook;
  const root = document.documentElement;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let view = null, chosenExpiry = null, shownExpiries = "", cells = new Map(), lastMove = { clock: null, at: 0 };

  const make = (name, { css = "", text = "", children = [] } = {}) => {
    const node = document.createElement(name);
    if (css) node.className = css;
    if (text) node.textContent = text;
    node.append(...children);
    return node;
  };
  const nothing = (text) => make("p", { css: "nothing", text });
  const toned = (text, value) => make("span", { text, css: value > 0 ? "gain" : value < 0 ? "loss" : "" });
  const ms = (ns) => ns / 1e6;
  const clockTime = (ns) => time(ms(ns)).slice(11);
  const places = (price) => (Math.abs(price) >= 10 ? 1 : 4);
  const price = (x) => number(x, isKnown(x) ? places(x) : 0);

  /* A number that moves to its new value over a quarter of a second. */
  function glide(node, value, format) {
    const from = node.glide?.value;
    cancelAnimationFrame(node.glide?.frame);
    if (still || document.hidden || !isKnown(from) || !isKnown(value) || from === value) {
      node.glide = { value };
      node.textContent = format(value);
      return;
    }
    const start = performance.now(), state = { value: from };
    node.glide = state;
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - start) / 240)); // a late frame's time may lie before the start
      state.value = from + (value - from) * done;
      node.textContent = format(done === 1 ? value : state.value);
      if (done < 1) state.frame = requestAnimationFrame(step); else state.value = value;
    };
    state.frame = requestAnimationFrame(step);
  }

  function showHeader(v) {
    element("policy").textContent = v.policy;
    element("market").textContent = v.market;
    document.title = `${usd(v.equity_usd, 0, true)} · flatbook ${v.policy}`;
    const stage = element("stage");
    stage.textContent = v.stage.replace("_", "-");
    stage.className = "stage " + v.stage;
    element("clock").textContent = time(ms(v.clock_ns)) + " UTC";
    const done = isKnown(v.progress) ? Math.min(1, Math.max(0, v.progress)) : null;
    element("state").textContent = [v.state, done === null ? "" : `${(100 * done).toFixed(done < 0.1 ? 1 : 0)} %`, v.pace].filter(Boolean).join(" · ");
    element("progress").style.width = `${100 * (done ?? 0)}%`;
    if (done !== null) element("progress").parentElement.setAttribute("aria-valuenow", String(Math.round(100 * done)));
    element("ages").replaceChildren(...v.ages.map((a) => make("span", {
      css: "age " + a.freshness, text: `${a.name} ${isKnown(a.age_s) ? age(a.age_s) + " old" : "not seen yet"}, ${a.freshness}`,
    })));
  }

  function latency(l) {
    return make("span", {
      text: `feed to quote ${number(l.feed_to_quote_p50_ms, 2)} ms, 99 % within ${number(l.feed_to_quote_p99_ms, 1)}`,
      title: `longest ${number(l.feed_to_quote_max_ms, 1)} ms of ${number(l.samples)} messages`,
    });
  }

  function showHeadline(v) {
    const equity = element("equity");
    glide(equity, v.equity_usd, (x) => usd(x, 0, true));
    equity.classList.toggle("gain", v.equity_usd > 0);
    equity.classList.toggle("loss", v.equity_usd < 0);
    glide(element("index"), v.index_usd, (x) => usd(x, 2));
    element("counts").replaceChildren(
      `${number(v.fills_count)} fills · ${number(v.hedges_count)} hedges`, make("br"),
      `${number(v.quotes_live)} quotes live · ${number(v.positions_open)} positions`,
      ...(v.latency ? [make("br"), latency(v.latency)] : []),
    );
  }

  /* Charts are drawn only when seen, and after the numbers. */
  function draw(id, traces, options) {
    if (document.hidden) return;
    const isEmpty = traces.every((trace) => !trace.x.length), hidden = { visible: false };
    const blank = {
      height: options.height, xaxis: hidden, yaxis: hidden,
      annotations: [{ text: "Nothing yet.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, font: { size: 13, color: colour("faint") } }],
    };
    Plotly.react(element(id), isEmpty ? [] : traces, layout(isEmpty ? blank : options), config);
  }
  const line = (x, y, name, color, width, extra = {}) => ({ type: "scatter", mode: "lines", x, y, name, line: { color, width }, ...extra });

  function drawEquity({ history: h }) {
    const x = dates(h.ts_ns.map(ms));
    draw("equity-chart", [
      line(x, h.index_usd, "index", colour("faint"), 1, { yaxis: "y2", hovertemplate: "%{y:$,.2f}" }),
      line(x, h.equity_usd, "equity", colour("accent"), 2, { hovertemplate: "%{y:$,.0f}" }),
    ], {
      height: 266, margin: { l: 4, r: 4, t: 6, b: 4 }, yaxis: { ...dollars(), nticks: 6 },
      yaxis2: axis({ overlaying: "y", side: "right", tickmode: "auto", showgrid: false, zeroline: false, ...dollars(4), nticks: 6 }),
    });
  }
  function drawRisk({ history: h }) {
    const x = dates(h.ts_ns.map(ms));
    draw("risk-chart", [
      line(x, h.delta_usd, "delta", colour("accent"), 1.3, { hovertemplate: "%{y:$,.0f}" }),
      line(x, h.vega_usd, "vega per vol pt", "#c98a1b", 1.3, { yaxis: "y2", hovertemplate: "%{y:$,.0f}" }),
    ], {
      height: 150, margin: { l: 2, r: 2, t: 4, b: 2 }, showlegend: true, legend: { ...legendAbove, font: { size: 10 } },
      xaxis: timeAxis({ nticks: 3, tickfont: { size: 10, color: colour("muted") } }),
      yaxis: { ...dollars(2), nticks: 4, tickfont: { size: 10, color: colour("accent") } },
      yaxis2: axis({ overlaying: "y", side: "right", tickmode: "auto", showgrid: false, zeroline: false, ...dollars(2), nticks: 4, tickfont: { size: 10, color: "#c98a1b" } }),
    });
  }

  function showParts({ parts }) {
    const box = element("parts"), names = Object.keys(parts);
    if (!names.length) return box.replaceChildren(nothing("Nothing yet."));
    if (box.dataset.names !== names.join()) {
      box.dataset.names = names.join();
      box.replaceChildren(...names.map((name) => make("div", { css: "part", children: [
        make("span", { text: words(name) }), make("span"), make("span", { css: "track", children: [make("i")] }),
      ] })));
    }
    const greatest = Math.max(1e-9, ...names.map((name) => Math.abs(parts[name] ?? 0)));
    names.forEach((name, i) => {
      const [, amount, track] = box.children[i].children, value = parts[name] ?? 0, width = 50 * Math.abs(value) / greatest;
      amount.textContent = usd(parts[name], 0, true);
      amount.className = value > 0 ? "gain" : value < 0 ? "loss" : "";
      const bar = track.firstChild;
      bar.className = value < 0 ? "down" : "up";
      bar.style.left = `${value < 0 ? 50 - width : 50}%`;
      bar.style.width = `${width}%`;
    });
  }

  function showGauges({ exposures }) {
    const box = element("gauges"), names = exposures.map((g) => g.name).join();
    if (box.dataset.names !== names) {
      box.dataset.names = names;
      box.replaceChildren(...exposures.map((g) => make("div", { css: "gauge", children: [
        make("div", { css: "row", children: [make("span", { text: g.name }), make("span", { children: [make("b"), make("small")] })] }),
        ...(g.limit ? [make("div", { css: "rail", children: [make("i")] })] : []),
      ] })));
    }
    exposures.forEach((g, i) => {
      const [row, rail] = box.children[i].children, [value, unit] = row.lastChild.children;
      value.textContent = usd(g.value);
      unit.textContent = g.limit ? ` of ${usd(g.limit)} ${g.unit}` : ` ${g.unit}`;
      if (!rail) return;
      const used = isKnown(g.value) ? Math.min(1, Math.abs(g.value) / g.limit) : 0;
      rail.className = "rail" + (used >= 1 ? " over" : used >= 0.8 ? " near" : "");
      rail.firstChild.style.left = `${g.value < 0 ? 50 - 50 * used : 50}%`;
      rail.firstChild.style.width = `${50 * used}%`;
    });
  }

  function expiriesOf(v) {
    const byTime = new Map();
    for (const part of [...v.chains, ...v.smiles]) byTime.set(part.expiry_ns, part.expiry);
    return [...byTime].sort(([a], [b]) => a - b).map(([, label]) => label);
  }
  function showExpiries(v) {
    const labels = expiriesOf(v);
    if (!labels.includes(chosenExpiry)) chosenExpiry = v.chains[0]?.expiry ?? labels[0] ?? null;
    if (labels.join() === shownExpiries) return;
    shownExpiries = labels.join();
    picks(element("expiries"), labels, (i) => {
      chosenExpiry = labels[i];
      showChain(view);
      drawSmile(view);
    }, Math.max(0, labels.indexOf(chosenExpiry)));
  }

  const QUOTE = [["position", "pos"], ["vol", "vol %"], ["bid", "bid"], ["fair", "fair"], ["ask", "ask"]];
  const SHOW = { position: (x) => (x ? number(x, 1, true) : ""), vol: (x) => number(isKnown(x) ? 100 * x : x, 1), bid: price, fair: price, ask: price };
  function buildChain(chain) {
    cells = new Map();
    const head = (sides) => make("tr", { children: sides });
    const heads = QUOTE.map(([, name]) => name);
    const middle = (name, text) => make(name, { css: "strike", text });
    const rows = chain.rows.map((row, i) => {
      const side = (right, columns) => columns.map(([field]) => {
        const cell = make("td", { css: field });
        cells.set(`${i}:${right}:${field}`, { cell, value: undefined });
        return cell;
      });
      return make("tr", { children: [...side("call", QUOTE), middle("td", number(row.strike)), ...side("put", [...QUOTE].reverse())] });
    });
    const th = (text) => make("th", { text });
    element("chain").replaceChildren(make("table", { children: [
      make("thead", { children: [head([...heads.map((h) => th(h === "pos" ? "calls pos" : h)), middle("th", "strike"), ...heads.toReversed().map((h) => th(h === "pos" ? "pos puts" : h))])] }),
      make("tbody", { children: rows }),
    ] }));
  }
  function setCell(key, field, value) {
    const entry = cells.get(key), shown = value === undefined ? "" : SHOW[field](value);
    if (entry.cell.textContent === shown) return;
    entry.cell.textContent = shown;
    const moved = isKnown(entry.value) && isKnown(value) ? value - entry.value : 0;
    entry.value = value;
    if (moved && (field === "bid" || field === "ask") && !still) {
      entry.cell.animate([{ backgroundColor: colour(moved > 0 ? "gain-soft" : "loss-soft") }, { backgroundColor: "transparent" }], 450);
    }
  }
  function showChain(v) {
    const chain = v.chains.find((c) => c.expiry === chosenExpiry), box = element("chain");
    if (!chain) {
      box.dataset.shape = "";
      element("chain-note").textContent = "";
      return box.replaceChildren(nothing(v.chains.length ? "This expiry is not quoted." : "No quotes yet."));
    }
    element("chain-note").textContent = `coin · forward ${usd(chain.forward_usd, 0)} · from a surface ${age(chain.age_s)} old`;
    const shape = chosenExpiry + chain.rows.map((row) => row.strike).join();
    const isNew = box.dataset.shape !== shape;
    if (isNew) {
      box.dataset.shape = shape;
      buildChain(chain);
    }
    const at = chain.rows.findIndex((row) => row.strike >= chain.forward_usd), rows = box.querySelectorAll("tbody tr");
    rows.forEach((row, i) => row.classList.toggle("forward", i === at));
    if (isNew && rows[at]) box.scrollTop = rows[at].offsetTop - box.clientHeight / 2;
    chain.rows.forEach((row, i) => {
      for (const right of ["call", "put"]) for (const [field] of QUOTE) setCell(`${i}:${right}:${field}`, field, row[right]?.[field]);
    });
  }

  function drawSmile(v) {
    const s = v.smiles.find((one) => one.expiry === chosenExpiry);
    element("smile-note").textContent = s
      ? `${s.expiry} · ${s.status.replaceAll("_", " ")}, ${age(s.age_s)} old · error ${number(100 * s.rmse_vol, 2)} vol pt` : "no slice for this expiry yet";
    const percent = (values) => values.map((x) => (isKnown(x) ? 100 * x : null));
    const low = s ? percent(s.vol_low) : [], high = s ? percent(s.vol_high) : [];
    const middle = low.map((x, i) => (isKnown(x) && isKnown(high[i]) ? (x + high[i]) / 2 : null));
    draw("smile-chart", s ? [
      {
        type: "scatter", mode: "markers", name: "market", x: s.strike, y: middle, customdata: s.point_age_s.map(age),
        error_y: { type: "data", array: high.map((x, i) => (x - low[i]) / 2), thickness: 1, width: 2, color: colour("faint") },
        marker: { size: 5, color: colour("muted"), opacity: s.point_age_s.map(fade) }, hovertemplate: "%{x:,.0f}: %{y:.2f} %, %{customdata} old<extra></extra>",
      },
      line(s.curve_strike, percent(s.curve_vol), "our fit", colour("accent"), 2.2, { hovertemplate: "%{x:,.0f}: %{y:.2f} %<extra></extra>" }),
    ] : [], {
      height: 396, margin: { l: 4, r: 8, t: 4, b: 4 }, hovermode: "closest", showlegend: true, legend: legendAbove,
      xaxis: axis({ tickformat: ",.0f", nticks: 7, title: { text: "strike, USD", font: { size: 11 }, standoff: 6 } }),
      yaxis: { ticksuffix: " %" },
      shapes: s ? [{ type: "line", xref: "x", yref: "paper", x0: s.forward_usd, x1: s.forward_usd, y0: 0, y1: 1, line: { color: colour("faint"), width: 1, dash: "dot" } }] : [],
    });
  }

  const side = (s) => make("span", { css: s > 0 ? "buy" : "sell", text: s > 0 ? "bought" : "sold" });
  function list(id, empty, heads, rows, css = "") {
    const box = element(id), key = JSON.stringify(rows.map((row) => row.key));
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    if (!rows.length) return box.replaceChildren(nothing(empty));
    const row = (cell, values) => make("tr", { children: values.map((value) => {
      const node = make(cell, { css: value.left ? "text" : "" });
      node.append(value.node ?? value.text);
      return node;
    }) });
    box.replaceChildren(make("table", { css, children: [
      ...(heads.length ? [make("thead", { children: [row("th", heads)] })] : []),
      make("tbody", { children: rows.map(({ values }) => row("td", values)) }),
    ] }));
  }
  const left = (text) => ({ text, left: true }), right = (text) => ({ text });
  function showLists(v) {
    const newest = (rows) => [...rows].sort((a, b) => b.ts_ns - a.ts_ns);
    list("fills", "No fills yet.", [left("Time"), left(""), right("Size"), left("Instrument"), right("Price"), right("Fair"), right("Spread"), right("Inventory"), right("Edge")],
      newest(v.fills).map((f) => ({ key: [f.ts_ns, f.instrument, f.price, f.size], values: [
        left(clockTime(f.ts_ns)), { node: side(f.side), left: true }, right(number(f.size, 1)), left(f.instrument), right(number(f.price, 4)), right(number(f.fair, 5)),
        right(number(f.spread_part, 5, true)), right(number(f.inventory_part, 5, true)), { node: toned(usd(f.edge_usd, 0, true), f.edge_usd) },
      ] })));
    list("hedges", "No hedges yet.", [left("Time"), left(""), right("USD"), right("Price"), right("Delta"), left("Why")],
      newest(v.hedges).map((h) => ({ key: [h.ts_ns, h.price, h.size_usd], values: [
        left(clockTime(h.ts_ns)), { node: side(h.side), left: true }, right(number(h.size_usd)), right(number(h.price, 1)),
        right(`${number(h.delta_before_coin, 2, true)} → ${number(h.delta_after_coin, 2, true)}`), left(h.reason.replaceAll("_", " ")),
      ] })), "wrap");
    showMonitors(v);
    list("log", "Nothing yet.", [], newest(v.log).map((entry) => ({ key: [entry.ts_ns, entry.text], values: [
      left(clockTime(entry.ts_ns)), left(entry.text),
    ] })), "wrap");
  }

  /* A row a number; of each horizon what it came to, how long ago, and what would be an alarm. */
  const HORIZONS = ["minute", "hour", "day"];
  const figures = (x) => number(x, !isKnown(x) || Math.abs(x) >= 100 ? 0 : Math.abs(x) >= 10 ? 1 : 3);
  function monitorCell(reading) {
    const old = isKnown(reading.age_s) ? `${age(reading.age_s)} old` : "not seen yet";
    const beside = ` ${isKnown(reading.threshold) ? `of ${figures(reading.threshold)}` : "learning"}, ${old}`;
    const cell = make("span", { children: [
      make("span", { css: reading.state === "alarm" ? "loss" : "", text: figures(reading.value) }), make("small", { css: "quiet", text: beside }),
    ] });
    cell.title = `usually ${figures(reading.usual)}, ${reading.state}`;
    return { node: cell };
  }
  function showMonitors({ monitors }) {
    const byName = new Map();
    for (const one of monitors) {
      if (!byName.has(one.name)) byName.set(one.name, {});
      byName.get(one.name)[one.horizon] = one;
    }
    const seen = [...byName].filter(([, of]) => HORIZONS.some((h) => isKnown(of[h].value)));
    list("monitors", "Nothing watched for a whole minute yet.", [left("Watched"), left(""), ...HORIZONS.map((h) => right(`Last ${h}`)), right("Alarms")],
      seen.map(([name, of]) => ({ key: [name, ...HORIZONS.map((h) => [of[h].value, of[h].threshold, of[h].state, age(of[h].age_s)])], values: [
        left(name), left(of.minute.unit), ...HORIZONS.map((h) => monitorCell(of[h])),
        right(number(HORIZONS.reduce((sum, h) => sum + of[h].alarms, 0))),
      ] })));
  }

  function show(v) {
    view = v;
    if (v.clock_ns !== lastMove.clock) lastMove = { clock: v.clock_ns, at: performance.now() };
    showHeader(v); showHeadline(v); showParts(v); showGauges(v); showExpiries(v); showChain(v); showLists(v);
    drawEquity(v); drawRisk(v); drawSmile(v);
  }

  function say(text) {
    const box = element("lost");
    box.hidden = !text;
    box.textContent = text;
  }
  const stream = new EventSource("/api/stream");
  let isConnected = false, hasEnded = false;
  stream.onmessage = (message) => { isConnected = true; show(JSON.parse(message.data)); watch(); };
  stream.addEventListener("end", () => { hasEnded = true; stream.close(); watch(); });
  stream.onerror = () => { isConnected = false; watch(); };
  /* A page that no longer hears from the run must not look live. */
  function watch() {
    const quiet = (performance.now() - lastMove.at) / 1000;
    if (hasEnded) say("The run has ended: this is how it stood.");
    else if (!isConnected) say(view ? "The run no longer answers: what you see is as it last was." : "Waiting for the run.");
    else if (view?.state === "running" && quiet > 5) say(`The engine's clock has stood still for ${age(quiet)}.`);
    else say("");
  }
  setInterval(watch, 1000);
  document.addEventListener("visibilitychange", () => { if (view && !document.hidden) show(view); });

  function setTheme(name) {
    root.dataset.theme = name;
    if (view) show(view);
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(localStorage.getItem("flatbook-theme") ?? (dark.matches ? "dark" : "light"));
  dark.addEventListener("change", () => { if (!localStorage.getItem("flatbook-theme")) setTheme(dark.matches ? "dark" : "light"); });
  element("theme").addEventListener("click", () => {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("flatbook-theme", next);
    setTheme(next);
  });
})();
