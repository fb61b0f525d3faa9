// What pages do beyond what they do without scripts: they say when they are not
// connected any more, and draw lines over time.
'use strict';

(() => {
  const connection = document.getElementById('connection');
  const connected = (is) => { if (connection) connection.hidden = is; };
  document.body.addEventListener('htmx:sseOpen', () => connected(true));
  document.body.addEventListener('htmx:sseError', () => connected(false));
  // Signed out, or another process answers here now: the page itself says which.
  document.body.addEventListener('htmx:sseClose', (event) => {
    if (event.detail && event.detail.type === 'message') setTimeout(() => location.reload(), 1000);
  });

  const place = document.getElementById('lines');
  if (!place || typeof uPlot === 'undefined') return;

  const REFRESH_MS = 4000;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(240, place.clientWidth);
  const columns = (points) => [
    points.map((point) => point.at_ms / 1000),
    points.map((point) => point.reads_percent),
    points.map((point) => point.lag_seconds),
  ];
  let plot = null;
  let drawn = [[], [], []];

  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
  const draw = () => {
    if (plot) plot.destroy();
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    plot = new uPlot({
      width: width(),
      height: 220,
      scales: { '%': { range: [0, 100] }, s: { range: (_, __, max) => [0, Math.max(1, max || 0)] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map(clock) },
        { ...axis, scale: '%', values: (_, ticks) => ticks.map((tick) => `${tick} %`) },
        { ...axis, scale: 's', side: 1, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => `${tick} s`) },
      ],
      series: [
        { label: 'UTC', value: (_, at) => (at === null ? '–' : clock(at)) },
        { label: 'readers at the service, %', scale: '%', stroke: colour('--new'), width: 2, points: { show: false } },
        { label: 'lag, s', scale: 's', stroke: colour('--amber'), width: 2, dash: [6, 4], points: { show: false } },
      ],
    }, drawn, place);
  };

  const load = async () => {
    try {
      const answer = await fetch(place.dataset.points, { headers: { accept: 'application/json' } });
      if (!answer.ok) return;
      drawn = columns(await answer.json());
      if (plot) plot.setData(drawn); else draw();
    } catch {
      // The line above the page says that nothing comes any more.
    }
  };

  load();
  setInterval(load, REFRESH_MS);
  addEventListener('resize', () => plot && plot.setSize({ width: width(), height: 220 }));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot && draw());
})();
