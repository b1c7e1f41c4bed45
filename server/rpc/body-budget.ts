import { Code, ConnectError } from "@connectrpc/connect";

/** Whose body it is: the connection that brings it, and the address of the client behind it. */
type BodyOwner = { readonly connection: object; readonly address: string };

/** How many bytes of bodies may be held at once: by a connection, an address and in all. */
export type BodyShares = {
  readonly connectionBytes: number;
  readonly addressBytes: number;
  readonly totalBytes: number;
};

/** What one body holds of the budget. */
export type BodyHold = {
  /** Notes that bytes were taken into memory. Throws RESOURCE_EXHAUSTED where a share is used up. */
  take(bytes: number): void;
  /** Notes that bytes were let go. */
  give(bytes: number): void;
  /** Lets go of all that is still held. */
  close(): void;
};

/** One for the whole gateway: bytes of bodies in flight, as received and inflated together. */
export type BodyBudget = {
  open(owner: BodyOwner): BodyHold;
  /** Bytes that all bodies hold together. */
  heldBytes(): number;
};

// A message of 64 KiB, compressed and inflated, with its prefix. A body that holds no more passes whatever others
// hold, so that large bodies cannot keep an interrupt or a prompt out.
const ALWAYS_PASSES_BYTES = 2 * 64 * 1024 + 1024;

const RETRY_SECONDS = 5;

/**
 * The shares for a given largest message: one connection may send one of the largest at a time, one
 * address two, and all together four.
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

/** Makes a budget with nothing held. */
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

  const open = (owner: BodyOwner): BodyHold => {
    let heldBytes = 0;
    const add = (bytes: number) => {
      const { ofConnection, ofAddress } = accountsOf(owner);
      heldBytes += bytes;
      total.bytes += bytes;
      ofConnection.bytes += bytes;
      ofAddress.bytes += bytes;
      if (ofAddress.bytes === 0) addresses.delete(owner.address);
    };
    const hasRoomFor = (bytes: number) => {
      const { ofConnection, ofAddress } = accountsOf(owner);
      return (
        total.bytes + bytes <= shares.totalBytes &&
        ofConnection.bytes + bytes <= shares.connectionBytes &&
        ofAddress.bytes + bytes <= shares.addressBytes
      );
    };
    return {
      take(bytes) {
        if (heldBytes + bytes > ALWAYS_PASSES_BYTES && !hasRoomFor(bytes)) throw busy();
        add(bytes);
      },
      give: (bytes) => add(-bytes),
      close: () => add(-heldBytes),
    };
  };
  return { open, heldBytes: () => total.bytes };
}

function busy(): ConnectError {
  const message = `gateway busy; retry in ${RETRY_SECONDS} s`;
  return new ConnectError(message, Code.ResourceExhausted);
}
