// Draws charts from the tables beside them, and keeps the page up to date. Without it, every number is still there.
"use strict";
{
  const charts = new Map();
  // A custom property may be a formula; what it comes to is told by an element that has it.
  const probe = document.createElement("i");
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const told = getComputedStyle(probe).color;
    probe.remove();
    return told;
  };
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  const formatter = (figure) => {
    const { unit, money } = figure.dataset;
    if (money === "yes") {
      const fine = new Intl.NumberFormat("en", { style: "currency", currency: unit, maximumFractionDigits: 4 });
      const coarse = new Intl.NumberFormat("en", { style: "currency", currency: unit, notation: "compact" });
      return { exact: (n) => fine.format(n), axis: (n) => (Math.abs(n) >= 1000 ? coarse.format(n) : fine.format(n)) };
    }
    const plain = new Intl.NumberFormat("en");
    const short = new Intl.NumberFormat("en", { notation: "compact" });
    return { exact: (n) => `${plain.format(n)} ${unit}`, axis: (n) => (Number.isInteger(n) ? short.format(n) : "") };
  };

  const label = (cell) => {
    const text = cell.dataset.label ?? cell.textContent;
    return /T\d\d:/.test(text) ? `${text.slice(11, 16)}` : text;
  };
  const read = (cell) => Number(cell.querySelector("data")?.value ?? 0);

  function stacked(table) {
    const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
    const rows = [...table.tBodies[0].rows];
    return {
      labels: rows.map((row) => label(row.cells[0])),
      datasets: names.map((name, at) => ({
        label: name,
        data: rows.map((row) => read(row.cells[at + 1])),
        backgroundColor: colour(name === "others" ? "--series-others" : `--series-${(at % 6) + 1}`),
        borderRadius: 2,
        maxBarThickness: 34,
        categoryPercentage: 0.86,
        barPercentage: 0.94,
        stack: "all",
      })),
    };
  }

  function waterfall(table) {
    const rows = [...table.tBodies[0].rows];
    const ends = [0, rows.length - 1];
    return {
      labels: rows.map((row) => label(row.cells[0])),
      datasets: [{
        label: "amount",
        data: rows.map((row) => [Number(row.dataset.begins), Number(row.dataset.ends)]),
        amounts: rows.map((row) => read(row.cells[1])),
        backgroundColor: rows.map((row, at) => colour(
          ends.includes(at) ? "--series-1" : Number(row.dataset.ends) >= Number(row.dataset.begins) ? "--series-3" : "--series-2")),
        borderRadius: 4,
        borderSkipped: false,
        maxBarThickness: 64,
      }],
    };
  }

  // What scores and costs what: a point each, and a line through those that none other beats.
  function frontier(table) {
    const points = [...table.tBodies[0].rows].map((row) => ({
      name: label(row.cells[0]),
      x: Number(row.dataset.cost),
      y: Number(row.dataset.score),
      beaten: row.dataset.beaten === "yes",
    })).filter((point) => !Number.isNaN(point.x) && !Number.isNaN(point.y));
    const drawn = (name, data, colourName, more) => ({
      label: name, data, pointRadius: 6, pointHoverRadius: 8,
      backgroundColor: colour(colourName), borderColor: colour(colourName), ...more,
    });
    const best = points.filter((point) => !point.beaten).sort((one, other) => one.x - other.x);
    return {
      datasets: [
        drawn("on the frontier", best, "--series-1", { showLine: true, borderWidth: 2, borderDash: [5, 4] }),
        drawn("another scores no worse and costs no more", points.filter((point) => point.beaten), "--series-others", {}),
      ],
    };
  }

  const names = {
    id: "names",
    afterDatasetsDraw(chart) {
      if (chart.config.type !== "scatter") return;
      const { ctx, chartArea } = chart;
      ctx.save();
      ctx.fillStyle = colour("--text");
      ctx.font = `12px ${getComputedStyle(document.body).fontFamily}`;
      chart.data.datasets.forEach((dataset, at) => chart.getDatasetMeta(at).data.forEach((point, place) => {
        const { name } = dataset.data[place];
        const fits = point.x + 12 + ctx.measureText(name).width < chartArea.right;
        ctx.textAlign = fits ? "left" : "right";
        ctx.fillText(name, point.x + (fits ? 11 : -11), point.y - 12);
      }));
      ctx.restore();
    },
  };

  const readers = { stacked, waterfall, frontier };

  function options(figure) {
    const { exact, axis } = formatter(figure);
    const soft = colour("--soft");
    const falls = figure.dataset.chart === "waterfall";
    const amount = (item) => (falls ? item.dataset.amounts[item.dataIndex] : item.parsed.y);
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: still ? false : { duration: 350 },
      interaction: { mode: "index", intersect: false },
      plugins: {
        legend: {
          display: !falls,
          position: "bottom",
          align: "start",
          labels: { color: soft, usePointStyle: true, pointStyle: "rectRounded", boxHeight: 7, boxWidth: 7, padding: 16 },
        },
        tooltip: {
          backgroundColor: colour("--text"),
          titleColor: colour("--page"),
          bodyColor: colour("--page"),
          footerColor: colour("--page"),
          padding: 11,
          cornerRadius: 10,
          boxPadding: 5,
          usePointStyle: true,
          filter: (item) => falls || item.parsed.y !== 0,
          itemSort: (one, other) => amount(other) - amount(one),
          callbacks: {
            label: (item) => ` ${falls ? "" : `${item.dataset.label}  `}${exact(amount(item))}`,
            footer: (items) => (falls || items.length < 2 ? "" : `in all  ${exact(items.reduce((sum, item) => sum + amount(item), 0))}`),
          },
        },
      },
      scales: {
        x: { stacked: !falls, grid: { display: false }, border: { color: colour("--line-strong") }, ticks: { color: soft, maxRotation: 0, autoSkipPadding: 18 } },
        y: { stacked: !falls, beginAtZero: true, border: { display: false }, grid: { color: colour("--line") }, ticks: { color: soft, maxTicksLimit: 6, callback: axis } },
      },
    };
  }

  function frontierOptions(figure) {
    const { exact } = formatter(figure);
    const base = options(figure);
    const score = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
    const titled = (axis, text) => ({ ...axis, stacked: false, title: { display: true, text, color: colour("--soft") } });
    return {
      ...base,
      interaction: { mode: "nearest", intersect: true },
      layout: { padding: { top: 18 } },
      plugins: {
        legend: base.plugins.legend,
        tooltip: {
          ...base.plugins.tooltip,
          filter: () => true,
          itemSort: undefined,
          callbacks: { label: (item) => ` ${item.raw.name}: ${score.format(item.raw.y)} for ${exact(item.raw.x)}` },
        },
      },
      scales: {
        x: { ...titled(base.scales.x, "Cost per call"), grid: base.scales.y.grid, min: 0, grace: "12%", ticks: { ...base.scales.x.ticks, callback: exact } },
        y: { ...titled(base.scales.y, "Mean score"), beginAtZero: false, grace: "15%", ticks: { ...base.scales.y.ticks, callback: (n) => score.format(n) } },
      },
    };
  }

  function draw() {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      const canvas = figure.querySelector("canvas");
      const table = figure.querySelector("table");
      if (!canvas || !table) continue;
      charts.get(canvas)?.destroy();
      const scattered = figure.dataset.chart === "frontier";
      charts.set(canvas, new Chart(canvas, {
        type: scattered ? "scatter" : "bar",
        data: readers[figure.dataset.chart](table),
        options: scattered ? frontierOptions(figure) : options(figure),
        plugins: scattered ? [names] : [],
      }));
      figure.dataset.drawn = "yes";
    }
  }

  function forget() {
    for (const [canvas, chart] of charts) {
      if (canvas.isConnected) continue;
      chart.destroy();
      charts.delete(canvas);
    }
  }

  // The page as it is by now: asked for while somebody looks, and swapped in only where it differs.
  let tag = null;
  async function refresh(live) {
    const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.status === 304) return;
    if (!answer.ok || answer.redirected) { location.reload(); return; }
    const first = tag === null;
    tag = answer.headers.get("ETag");
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (!fresh || (first && fresh.textContent === live.textContent) || live.contains(document.activeElement)) return;
    const open = [...live.querySelectorAll("details")].map((each) => each.open);
    live.innerHTML = fresh.innerHTML;
    live.querySelectorAll("details").forEach((each, at) => { each.open = open[at] ?? false; });
    forget();
    draw();
    document.dispatchEvent(new Event("refreshed"));
  }

  function keepFresh() {
    const live = document.getElementById("live");
    const seconds = Number(live?.dataset.live ?? 0);
    if (!seconds) return;
    setInterval(() => {
      if (document.visibilityState === "visible") refresh(live).catch(() => { /* the next try may go better */ });
    }, seconds * 1000);
  }

  document.addEventListener("submit", (event) => {
    const asked = event.target.dataset?.confirm;
    if (asked && !confirm(asked)) event.preventDefault();
  });
  document.querySelector(".places [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  document.addEventListener("themed", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.fonts.ready.then(() => { draw(); keepFresh(); });
}
