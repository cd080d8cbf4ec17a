// Sentences for those who learn Raft: what kinds of events and types of messages
// there are.

const kindTexts = {
  start: 'A member begins, as a new one.',
  restart: 'A member begins again from what its disk holds.',
  crash: 'A member stops. What it had not made durable may be lost.',
  stop: 'A member stops for good.',
  pause: 'A member stands still, as a process does that gets no processor.',
  resume: 'A member that stood still goes on.',
  tick: 'Time passes at a member: its clock counts towards the next heartbeat or election.',
  deliver: 'A message arrives, and the member acts on it.',
  drop: 'The network loses a message.',
  duplicate: 'The network will deliver a message once more.',
  write: 'A write becomes durable: only now may the member promise what it holds.',
  writefail: 'A write fails.',
  apply: 'Committed entries go into the state machine, in order.',
  propose: 'A client asks for something to be added to the log.',
  read: 'A client asks for a linearizable read.',
  answer: 'A client gets its answer.',
  campaign: 'A member is told to seek leadership now.',
  transfer: 'Leadership is asked to move.',
  change: 'Somebody asks for other members.',
  compact: 'A member replaces the beginning of its log by a snapshot.',
  report: 'The transport tells a member what became of its messages.',
  network: 'Links between members are cut or healed.',
  disk: 'Something happens to a disk.',
  phase: 'A part of the run begins.',
  otherwise: 'This version of the library does something else here than the one that was recorded. What follows is what this one does with the same inputs.',
  fail: 'A rule that must always hold is broken.',
};

const messageTexts = {
  MsgPreVote: 'Would you vote for me? Asked before a campaign, so that one that cannot win disturbs nobody.',
  MsgPreVoteResp: 'Whether the vote would be granted. It promises nothing.',
  MsgVote: 'A candidate asks for a vote in its term.',
  MsgVoteResp: 'A vote, or its refusal. A member votes once per term, and remembers it on disk.',
  MsgApp: 'The leader sends entries, and names the one before them: the follower takes them only if it holds that one.',
  MsgAppResp: 'Up to where the follower holds the leader’s log on disk, or that it does not connect.',
  MsgHeartbeat: 'The leader says that it is there.',
  MsgHeartbeatResp: 'The follower has heard the leader.',
  MsgSnap: 'A snapshot, for a follower whose next entries the leader no longer has.',
  MsgProp: 'A proposal, passed on to the leader.',
  MsgReadIndex: 'A read, passed on to the leader.',
  MsgReadIndexResp: 'The commit index that the read has to see.',
  MsgTransferLeader: 'Somebody asks the leader to hand over.',
  MsgTimeoutNow: 'The leader tells a member to campaign at once.',
};

const roleTexts = {
  follower: 'follows a leader, or waits for one',
  'pre-candidate': 'asks whether it would win',
  candidate: 'asks for votes in a new term',
  leader: 'the one that decides on the log',
  down: 'does not run',
};
