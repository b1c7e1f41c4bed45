import { InvalidConfig, readConfig } from "./config/config.ts";
import { type Connection, connect, emptyLog, isAbsent } from "./storage/connection.ts";
import { StorageError } from "./storage/errors.ts";
import { eraseDevice, readDevice } from "./storage/statements.ts";

// `npm run data -- export|erase DEVICE`: what the database keeps of a device, as JSON on standard output.
// It works while the gateway runs, and whether or not the gateway stores anything now.

const commands = {
  export: ({ database }: Connection, device: string) => readDevice(database, device),
  async erase(connection: Connection, device: string) {
    const rows = await eraseDevice(connection.database, device);
    await emptyLog(connection);
    return { erased: rows };
  },
};

async function run([command = "", device = "", ...more]: readonly string[]): Promise<void> {
  if ((command !== "export" && command !== "erase") || device === "" || more.length > 0) {
    throw new Error("Usage: npm run --silent data -- export|erase DEVICE");
  }
  const { database } = readConfig();
  if (isAbsent(database.url)) throw new Error("There is no database: nothing is kept.");
  const connection = await connect(database);
  try {
    const answer = await commands[command](connection, device);
    process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  } finally {
    connection.close();
  }
}

await run(process.argv.slice(2)).catch((error: Error) => {
  const isExpected = error instanceof StorageError || error instanceof InvalidConfig;
  const prefix = isExpected ? "Data cannot be read or erased: " : "";
  process.stderr.write(`${prefix}${error.message}\n`);
  process.exitCode = 1;
});
