import type { Device, Protocol } from "../device.ts";
import type { ReplyPlan } from "../reply.ts";
import type { BenchServer, ServerChoice } from "../server.ts";

/** One thing that was measured. */
export type Figure = {
  /** What it is, with its unit: a row of the table. */
  readonly name: string;
  readonly value: number;
  /** Whether the table adds the ratios to the scenario's reference. */
  readonly compared?: boolean;
};

/** One column of a scenario's table. */
export type Variant = ServerChoice & {
  readonly name: string;
  readonly protocol: Protocol;
};

/** What a measurement works with. */
export type Scene = {
  /** Fresh: nothing has called it yet. */
  readonly server: BenchServer;
  /** Connects so many devices more. They are closed after the measurement. */
  open(count: number): Promise<readonly Device[]>;
  readonly signal: AbortSignal;
};

/** Something that is measured in the same way of each variant. */
export type Scenario = {
  readonly title: string;
  /** What happens, in a sentence or two for the reader of the table. */
  readonly about: string;
  readonly variants: readonly Variant[];
  /** The variant to which the table adds every other one's ratio, where there are more than two. */
  readonly reference?: string;
  /** How often each variant is measured, in turn with the others. */
  readonly repeats: number;
  /** What the servers answer; absent for the gateway's own text and voice. */
  readonly plan?: ReplyPlan;
  /** Measures one variant once; answers the same figures, in the same order, every time. */
  measure(scene: Scene): Promise<readonly Figure[]>;
};

/** The gateway alone. */
export const gatewayAlone: readonly Variant[] = [
  { name: "gateway", server: "gateway", protocol: "gRPC" },
];

/** The gateway, and the peer beside it. */
export const gatewayAndPeer: readonly Variant[] = [
  ...gatewayAlone,
  { name: "peer", server: "peer", protocol: "gRPC" },
];

/** The gateway in each of its protocols. */
export const gatewayProtocols: readonly Variant[] = [
  ...gatewayAlone.map((variant) => ({ ...variant, name: "gRPC" })),
  { name: "gRPC-Web", server: "gateway", protocol: "gRPC-Web" },
  { name: "Connect", server: "gateway", protocol: "Connect" },
];
