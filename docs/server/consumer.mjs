// Gatepost's events into PostgreSQL, in JavaScript: each event one row, receipts after the commit.
//
//     npm install mqtt pg
//     node consumer.mjs 'postgresql:///gatepost?host=/var/run/postgresql' mqtt://server:PASSWORD@broker receipts.key [SHARE]
//
// The tables are those of schema.sql. Start it several times with the same SHARE, a long word that no kiosk knows.
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import mqtt from "mqtt";
import pg from "pg";

const [database, broker, keyFile, share = "server"] = process.argv.slice(2);
if (!keyFile) {
  console.error("usage: node consumer.mjs 'postgresql:///gatepost?host=/var/run/postgresql' mqtt://server:PASSWORD@broker receipts.key [SHARE]");
  process.exit(2);
}
const key = createPrivateKey(readFileSync(keyFile));
const spki = createPublicKey(key).export({ type: "spki", format: "der" });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const keyid = sha256(spki).slice(0, 16);
const pool = new pg.Pool({ connectionString: database, max: 1 });
pool.on("error", (error) => console.log("database:", error.message));

// An event; null for what is none, or names another kiosk than its topic: only topics are guarded by the broker.
function read(topic, payload) {
  const [source, kind] = [`/${topic.split("/event/")[0]}`, topic.split("/event/")[1]];
  try {
    const event = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    const isWhole = event.source === source && /^[0-9a-f]{8}$/.test(event.epoch) && /^[0-9]{12,18}$/.test(event.sequence) &&
      /^[0-9a-f]{64}$/.test(event.previoussha256) && typeof event.data === "object" && !payload.includes("\\u0000");
    const day = event.time?.slice(0, 10) ?? new Date().toISOString().slice(0, 10);
    if (isWhole && /^[a-z_]+$/.test(kind) && !Number.isNaN(Date.parse(day))) return { ...event, kind, day };
  } catch {
    // no event
  }
  console.log("no event of its kiosk:", topic);
  return null;
}

// One transaction: the row, unless it is there, and how far the chain goes without a gap or a break.
async function keep(event, payload) {
  const db = await pool.connect();
  let failure = null;
  try {
    await db.query("BEGIN");
    await db.query("INSERT INTO chain (source, epoch) VALUES ($1, $2) ON CONFLICT DO NOTHING", [event.source, event.epoch]);
    const { rows: [chain] } = await db.query(
      "SELECT up_to, encode(hash, 'hex') AS hash, deleted FROM chain WHERE source = $1 AND epoch = $2 FOR UPDATE",
      [event.source, event.epoch],
    );
    if (BigInt(event.sequence) > BigInt(chain.deleted)) {
      await db.query("INSERT INTO event VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING", [
        event.source, event.epoch, event.sequence, event.kind, event.day, Buffer.from(sha256(payload), "hex"), payload.toString(),
      ]);
    }
    const { rows } = await db.query(
      "SELECT sequence, encode(hash, 'hex') AS hash, payload::json ->> 'previoussha256' AS previous FROM event" +
        " WHERE source = $1 AND epoch = $2 AND sequence > $3 ORDER BY sequence LIMIT 1000",
      [event.source, event.epoch, chain.up_to],
    );
    for (const row of rows) {
      const next = BigInt(chain.up_to) + 1n;
      const follows = BigInt(row.sequence) === next ? row.previous === chain.hash : await isLost(db, event, next, row.sequence);
      if (!follows) break;
      [chain.up_to, chain.hash] = [row.sequence, row.hash];
    }
    await db.query("UPDATE chain SET up_to = $3, hash = decode($4, 'hex') WHERE source = $1 AND epoch = $2", [
      event.source, event.epoch, chain.up_to, chain.hash,
    ]);
    await db.query("COMMIT");
    return { source: event.source, epoch: event.epoch, up_to: Number(chain.up_to), sha256: chain.hash, ranges: [] };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    db.release(failure ?? false);
  }
}

// Whether the kiosk has said of all from `next` until before `sequence` that it had to give them up.
async function isLost(db, event, next, sequence) {
  while (next < BigInt(sequence)) {
    const { rows: [loss] } = await db.query(
      "SELECT max((loss ->> 'last')::bigint) AS last FROM event, json_extract_path(payload::json, 'data', 'loss') AS loss" +
        " WHERE source = $1 AND kind = 'agent' AND loss ->> 'epoch' = $2 AND (loss ->> 'first')::bigint <= $3" +
        " AND (loss ->> 'last')::bigint >= $3",
      [event.source, event.epoch, next],
    );
    if (loss.last === null) return false;
    next = BigInt(loss.last) + 1n;
  }
  return true;
}

// DSSE 1.0
function signed(members) {
  const payload = Buffer.from(JSON.stringify(members));
  const kind = "application/vnd.gatepost.receipt.v1+json";
  const message = Buffer.concat([Buffer.from(`DSSEv1 ${kind.length} ${kind} ${payload.length} `), payload]);
  const signatures = [{ keyid, sig: sign(null, message, key).toString("base64") }];
  return JSON.stringify({ payloadType: kind, payload: payload.toString("base64"), signatures });
}

const receipts = new Map(); // the newest of each chain; those before it say no more
setInterval(() => {
  for (const receipt of receipts.values()) {
    client.publish(`${receipt.source.slice(1)}/receipt`, signed(receipt), { qos: 1, retain: true });
  }
  receipts.clear();
}, 1000);

const client = mqtt.connect(broker, { protocolVersion: 5, clean: true, reconnectPeriod: 1000 });
client.on("error", (error) => console.log("broker:", error.message));
client.on("connect", () => client.subscribe(`$share/${share}/gatepost/v1/+/+/event/#`, { qos: 1 }, () => console.log("listening")));
client.handleMessage = async ({ topic, payload }, done) => { // the broker is told when `done` is called
  const event = read(topic, payload);
  while (event) {
    try {
      receipts.set(`${event.source} ${event.epoch}`, await keep(event, payload));
      break;
    } catch (error) {
      console.log("database:", error.message);
      if (/^22/.test(error.code ?? "")) break; // the database takes no such value: never an event of a kiosk
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  done();
};
