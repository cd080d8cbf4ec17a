// What clients asked for in the last minutes, and who led.

import {$, el, svg, settle} from './dom.js';

// sum adds up the seconds of all members, the last one last.
function sum(reports) {
  const length = Math.max(0, ...reports.map((r) => r.activity.length));
  const seconds = [];
  for (let i = length - 1; i >= 0; i--) {
    const all = reports.map((r) => r.activity[i]).filter(Boolean);
    const served = all.reduce((n, s) => n + s.served, 0);
    seconds.push({
      served, failed: all.reduce((n, s) => n + s.failed, 0), slowest: Math.max(0, ...all.map((s) => s.slowest_ms)),
      mean: served === 0 ? 0 : all.reduce((n, s) => n + s.served * s.mean_ms, 0) / served,
    });
  }
  return seconds;
}

function line(values, most, name) {
  const points = values.map((v, i) => `${i === 0 ? 'M' : 'L'}${180 * i / Math.max(values.length - 1, 1)} ${59 - 57 * v / most}`);
  return svg('path', {class: name, d: points.join('')});
}

function chart(id, label, unit, lines) {
  const most = Math.max(1, ...Object.values(lines).flat());
  $(id).setAttribute('aria-label', `${label}, at most ${most.toFixed(1)}`);
  // The upper edge is at the highest value, the lower at 0, the left at the first second.
  $(`${id}-most`).textContent = `${Number(most.toFixed(1)).toLocaleString('en')} ${unit}`;
  $(`${id}-start`).textContent = `${Math.max(0, ...Object.values(lines).map((l) => l.length))} s ago`;
  $(id).replaceChildren(...Object.entries(lines).map(([name, values]) => line(values, most, name)));
}

export function showActivity(cluster) {
  const seconds = sum(cluster.members.map((m) => m.report).filter(Boolean));
  const last = seconds.at(-1) ?? {served: 0, failed: 0, mean: 0, slowest: 0};
  const failed = seconds.reduce((n, s) => n + s.failed, 0);
  $('rate').textContent = last.served.toLocaleString('en');
  $('failures').textContent = failed > 0 ? `; ${failed} failed` : '';
  $('latency').textContent = last.served > 0 ? `${last.mean.toFixed(1)}, ${last.slowest.toFixed(1)}` : '–';
  $('most').textContent = Math.max(0, ...seconds.map((s) => s.served)).toLocaleString('en');
  chart('throughput', 'requests in a second', 'in a second', {
    first: seconds.map((s) => s.served), ...(failed > 0 ? {failed: seconds.map((s) => s.failed)} : {}),
  });
  chart('latencies', 'milliseconds', 'ms', {second: seconds.map((s) => s.slowest), first: seconds.map((s) => s.mean)});
}

// showElections shows each term's leader once, as the member that saw it first has it.
export function showElections(cluster) {
  const seen = new Map();
  for (const {report} of cluster.members) {
    for (const {at, leader, term} of report?.elections ?? []) {
      if (leader !== 0 && !(seen.get(term)?.at <= at)) seen.set(term, {at, leader});
    }
  }
  const terms = [...seen].sort((a, b) => b[0] - a[0]).slice(0, 20);
  settle($('elections'), terms.map(([term, {at, leader}]) => el('li', {},
    el('time', {datetime: new Date(at).toISOString()}, new Date(at).toLocaleTimeString('en-GB')),
    el('span', {}, `member ${leader} leads in term ${term}`))));
}
