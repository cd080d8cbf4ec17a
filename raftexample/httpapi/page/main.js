// The page asks its member once a second how the cluster is.

import {$, say, ask} from './dom.js';
import {showMembers, membersForm, leaderOf} from './members.js';
import {showActivity, showElections} from './activity.js';
import {keysForm} from './keys.js';

const interval = 1000;
let paused = false;

function summarize(cluster) {
  const leader = leaderOf(cluster);
  const voters = cluster.members.filter((m) => m.role === 'voter');
  const up = voters.filter((m) => m.report).length;
  const away = voters.length - up > 0 ? `, ${voters.length - up} of ${voters.length} voters do not answer` : '';
  if (!leader) return say('summary', `No leader${away}`, true);
  say('summary', `Member ${leader.status.id} leads in term ${leader.status.term}${away}`, away !== '');
}

async function refresh() {
  try {
    const cluster = await (await ask('GET', '/cluster')).json();
    if (paused) return;
    summarize(cluster);
    showMembers(cluster);
    showActivity(cluster);
    showElections(cluster);
  } catch (e) {
    say('summary', `The member does not answer: ${e.message}`, true);
  }
}

async function live() {
  if (!paused && !document.hidden) await refresh();
  setTimeout(live, interval);
}

$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', String(paused));
});
membersForm();
keysForm();
live();
