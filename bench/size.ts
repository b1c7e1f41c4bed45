/** How much the bench does. */
export type Size = {
  /** How often the gateway is measured in turn with the peer. */
  readonly repeats: number;
  /** How long a server is used before it is measured. */
  readonly warmUpMs: number;
  /** Streams at once where they are not paced. */
  readonly streams: number;
  readonly unpacedMs: number;
  readonly protocolMs: number;
  /** Streams at once in real time, and the length of each: a multiple of 32 ms. */
  readonly pacedStreams: number;
  readonly pacedMs: number;
  /** How often each of `streams` streams is interrupted, and how often cancelled. */
  readonly bargeInRounds: number;
  /** Turns one after the other, and bursts of `streams` turns, for the time to first audio. */
  readonly lonelyTurns: number;
  readonly bursts: number;
  /** How often each device asks with a collected prompt, and without. */
  readonly collectRounds: number;
  /** Calls of the local agent by either way, and how many before that are not measured. */
  readonly agentCalls: number;
  readonly agentWarmUpCalls: number;
  /** Turns at once that are stored, and how many rounds of them. */
  readonly storedTurns: number;
  readonly storedRounds: number;
  /** Turns that are resumed at either instance, and instances that are killed. */
  readonly resumes: number;
  readonly kills: number;
  /** How many turns of the local voice run at once, and how often. */
  readonly localTurns: readonly { readonly atOnce: number; readonly times: number }[];
  /** Lengths of the files that are analyzed. */
  readonly analysisSeconds: readonly number[];
  readonly wire: WireSize;
};

/** How much the wire's scenarios do. */
type WireSize = {
  /** How often each server is measured in turn with the others. */
  readonly repeats: number;
  /** Clients of h2load, how many replies they ask for, and how many before. */
  readonly streams: number;
  /** How many connections carry them where they share some. */
  readonly connections: number;
  readonly requests: number;
  readonly warmUpRequests: number;
  /** Seconds of audio of each. */
  readonly seconds: number;
  /** Listeners in real time, and how long they listen once the last of them has begun. */
  readonly pacedCounts: readonly number[];
  readonly pacedMs: number;
  readonly bargeInStreams: number;
  readonly firstAudioStreams: number;
};

/** The bench whose figures stand in the README: some four minutes. */
export const fullSize: Size = {
  repeats: 3,
  warmUpMs: 700,
  streams: 50,
  unpacedMs: 2500,
  protocolMs: 2000,
  pacedStreams: 100,
  pacedMs: 4800,
  bargeInRounds: 2,
  lonelyTurns: 200,
  bursts: 8,
  collectRounds: 5,
  agentCalls: 1000,
  agentWarmUpCalls: 3000,
  storedTurns: 200,
  storedRounds: 3,
  resumes: 30,
  kills: 10,
  localTurns: [
    { atOnce: 1, times: 5 },
    { atOnce: 10, times: 1 },
    { atOnce: 50, times: 1 },
  ],
  analysisSeconds: [60, 600],
  wire: {
    repeats: 5,
    streams: 40,
    connections: 4,
    requests: 40,
    warmUpRequests: 60,
    seconds: 48,
    pacedCounts: [50, 200, 1000],
    pacedMs: 5760,
    bargeInStreams: 200,
    firstAudioStreams: 50,
  },
};

/** Only shows that the bench works: its figures mean nothing. */
export const quickSize: Size = {
  repeats: 1,
  warmUpMs: 50,
  streams: 5,
  unpacedMs: 200,
  protocolMs: 100,
  pacedStreams: 5,
  pacedMs: 480,
  bargeInRounds: 1,
  lonelyTurns: 10,
  bursts: 1,
  collectRounds: 1,
  agentCalls: 20,
  agentWarmUpCalls: 20,
  storedTurns: 2,
  storedRounds: 1,
  resumes: 1,
  kills: 1,
  localTurns: [
    { atOnce: 1, times: 1 },
    { atOnce: 2, times: 1 },
  ],
  analysisSeconds: [4, 8],
  wire: {
    repeats: 1,
    streams: 2,
    connections: 1,
    requests: 4,
    warmUpRequests: 2,
    seconds: 2,
    pacedCounts: [2, 5],
    pacedMs: 2688,
    bargeInStreams: 5,
    firstAudioStreams: 5,
  },
};
