import { Code, ConnectError } from "@connectrpc/connect";
import { limitDetails } from "./error-details.ts";

/** Whom a body counts for: its connection and its client's address. */
type BodyOwner = { readonly connection: object; readonly address: string };

/** The bytes that bodies may take at once: of a connection, of an address and in total. */
export type BodyShares = {
  readonly connectionBytes: number;
  readonly addressBytes: number;
  readonly totalBytes: number;
};

/** What one body takes of the budget. */
export type Reservation = {
  /** Reserves bytes. Throws RESOURCE_EXHAUSTED if they exceed a share. */
  take(bytes: number): void;
  /** Releases some of the bytes. */
  release(bytes: number): void;
  /** Releases all bytes that are still reserved. */
  close(): void;
};

/** The gateway's budget for request bodies: received and inflated bytes together. */
export type BodyBudget = {
  open(owner: BodyOwner): Reservation;
  /** The bytes that all bodies take together. */
  reservedBytes(): number;
};

// A compressed message of 64 KiB, its inflated form and its prefix. A body of this size always passes,
// so that large bodies cannot block an interrupt or a prompt.
const ALWAYS_PASSES_BYTES = 2 * 64 * 1024 + 1024;

const RETRY_SECONDS = 5;

/**
 * The shares for a largest message: a connection may send one such message at a time, an address two,
 * and all clients together four.
 */
export function bodyShares(maxMessageBytes: number): BodyShares {
  const mebibyte = 1024 * 1024;
  // Room for a compressed message of 12 MiB beside its inflated form.
  const connectionBytes = Math.max(maxMessageBytes, 32 * mebibyte) + mebibyte;
  return {
    connectionBytes,
    addressBytes: 2 * connectionBytes,
    totalBytes: 4 * connectionBytes,
  };
}

type Account = { bytes: number };

/** Creates an empty budget. An address leaves it with its last body. */
export function createBodyBudget(shares: BodyShares): BodyBudget {
  const total: Account = { bytes: 0 };
  const connections = new WeakMap<object, Account>();
  const addresses = new Map<string, Account>();

  const accountsOf = ({ connection, address }: BodyOwner) => {
    const ofConnection = connections.get(connection) ?? { bytes: 0 };
    connections.set(connection, ofConnection);
    const ofAddress = addresses.get(address) ?? { bytes: 0 };
    addresses.set(address, ofAddress);
    return { ofConnection, ofAddress };
  };

  const open = (owner: BodyOwner): Reservation => {
    let reservedBytes = 0;
    const add = (bytes: number) => {
      const { ofConnection, ofAddress } = accountsOf(owner);
      reservedBytes += bytes;
      total.bytes += bytes;
      ofConnection.bytes += bytes;
      ofAddress.bytes += bytes;
      if (ofAddress.bytes === 0) addresses.delete(owner.address);
    };
    const fits = (bytes: number) => {
      const { ofConnection, ofAddress } = accountsOf(owner);
      return (
        total.bytes + bytes <= shares.totalBytes &&
        ofConnection.bytes + bytes <= shares.connectionBytes &&
        ofAddress.bytes + bytes <= shares.addressBytes
      );
    };
    return {
      take(bytes) {
        if (reservedBytes + bytes > ALWAYS_PASSES_BYTES && !fits(bytes)) throw busy();
        add(bytes);
      },
      release: (bytes) => add(-bytes),
      close: () => add(-reservedBytes),
    };
  };
  return { open, reservedBytes: () => total.bytes };
}

function busy(): ConnectError {
  const message = `gateway busy; retry in ${RETRY_SECONDS} s`;
  const details = limitDetails("request_bodies", RETRY_SECONDS * 1000);
  return new ConnectError(message, Code.ResourceExhausted, undefined, details);
}
