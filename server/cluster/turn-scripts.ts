// The scripts of the turns that stand in Redis. Each runs as a whole: nothing comes in between.
//
// A turn is a hash, its chunks are a stream whose ids are their sequence numbers, and a device's turns are
// a sorted set by the time at which they began. The keys of one device share a hash tag, so that a cluster
// of Redis keeps them on one node. Times are Redis' own.
//
// Fields of the hash:
//   epoch      rises with each owner; only the last one may write
//   lease      until when the owner counts as alive
//   request    what the turn was asked for, for an owner that goes on
//   progress   how far the turn is, for the same
//   first      the number of the first chunk that is kept, or of the next one
//   last       the number of the last chunk
//   sent       the number up to which chunks may be sent
//   token      rises with each reader; only the last one reads
//   read       until when the reader counts as there
//   taken      the number of the last chunk that the reader took
//   reported   the samples that the client has played
//   end        how the turn ended
//   dropped    set once it was interrupted

const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** KEYS: turn, turns of the device. ARGV: turn id, request, lease, reader's time, time to keep. */
export const OPEN = `${clock}
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'epoch', 1, 'lease', now + ARGV[3], 'request', ARGV[2], 'progress', '',
  'first', 1, 'last', 0, 'sent', 0, 'token', 1, 'read', now + ARGV[4], 'taken', 0, 'reported', -1,
  'end', '')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', (time[1] - 3600) * 1000000)
redis.call('PEXPIRE', KEYS[2], 3600000)
return 1
`;

/**
 * The owner writes, or renews its lease. KEYS: turn, chunks. ARGV: epoch, lease, time to keep, the number
 * behind which the chunks come, `sent`, `first`, progress ('' if unchanged), end ('' if it has not come),
 * chunks. What an earlier owner left behind that number, and no client can have, is replaced.
 */
export const WRITE = `${clock}
local turn = redis.call('HMGET', KEYS[1], 'epoch', 'dropped', 'last', 'token', 'taken', 'read', 'reported',
  'first')
if not turn[1] then return {'unknown'} end
if turn[1] ~= ARGV[1] then return {'lost'} end
if turn[2] then return {'interrupted'} end
local after, last = tonumber(ARGV[4]), tonumber(turn[3])
if #ARGV > 8 then
  if after > last then return {'unknown'} end
  for at = after + 1, last do redis.call('XDEL', KEYS[2], at .. '-0') end
  if after < last then redis.call('XSETID', KEYS[2], after .. '-0') end
  for at = 9, #ARGV do redis.call('XADD', KEYS[2], (after + at - 8) .. '-0', 'c', ARGV[at]) end
  last = after + #ARGV - 8
end
local first = math.max(tonumber(turn[8]), tonumber(ARGV[6]))
redis.call('XTRIM', KEYS[2], 'MINID', first .. '-0')
redis.call('HSET', KEYS[1], 'lease', now + ARGV[2], 'last', last, 'sent', ARGV[5], 'first', first)
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'progress', ARGV[7]) end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'end', ARGV[8]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'ok', turn[4], turn[5], tonumber(turn[6]) > now and 1 or 0, turn[7], first}
`;

/** A client reads from a place on. KEYS: turn, chunks. ARGV: place, reader's time. */
export const ATTACH = `${clock}
local turn = redis.call('HMGET', KEYS[1], 'epoch', 'dropped', 'first', 'sent')
if not turn[1] then return {'unknown'} end
if turn[2] then return {'interrupted'} end
local after, first, sent = tonumber(ARGV[1]), tonumber(turn[3]), tonumber(turn[4])
if after < first - 1 then return {'gone', first - 1} end
if after > sent then return {'unsent', sent} end
redis.call('XTRIM', KEYS[2], 'MINID', (after + 1) .. '-0')
redis.call('HSET', KEYS[1], 'taken', after, 'read', now + ARGV[2], 'first', after + 1)
return {'ok', redis.call('HINCRBY', KEYS[1], 'token', 1)}
`;

/**
 * The reader has taken chunks, and wants more. KEYS: turn, chunks. ARGV: token, number of the last, reader's
 * time, time to keep.
 */
export const FOLLOW = `${clock}
local turn = redis.call('HMGET', KEYS[1], 'token', 'dropped', 'sent', 'lease', 'end')
if not turn[1] then return {'unknown'} end
if turn[2] then return {'interrupted'} end
if turn[1] ~= ARGV[1] then return {'replaced'} end
redis.call('HSET', KEYS[1], 'taken', ARGV[2], 'read', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'ok', turn[3], tonumber(turn[4]) > now and 1 or 0, turn[5]}
`;

/** The reader has left. KEYS: turn. ARGV: token. */
export const DETACH = `
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('HSET', KEYS[1], 'read', 0) end
`;

/** Takes a turn whose owner is gone. KEYS: turn, chunks. ARGV: lease, time to keep. */
export const TAKE = `${clock}
local turn = redis.call('HMGET', KEYS[1], 'epoch', 'dropped', 'lease', 'end')
if not turn[1] or turn[2] or turn[4] ~= '' or tonumber(turn[3]) > now then return {'refused'} end
redis.call('HSET', KEYS[1], 'lease', now + ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
local more = redis.call('HMGET', KEYS[1], 'request', 'progress', 'sent', 'token')
return {'ok', epoch, unpack(more)}
`;

/** The owner lets go: another may take the turn at once. KEYS: turn. ARGV: epoch. */
export const RELEASE = `
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'lease', 0) end
`;

/** The owner forgets its turn. KEYS: turn, chunks. ARGV: epoch. 0 if another owns it. */
export const FORGET = `
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and epoch ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
`;

/** The client has played so many samples. KEYS: turn. ARGV: samples. */
export const REPORT = `
local turn = redis.call('HMGET', KEYS[1], 'epoch', 'dropped')
if not turn[1] or turn[2] then return 0 end
redis.call('HSET', KEYS[1], 'reported', ARGV[1])
return 1
`;

/**
 * An interrupt drops turns of a device: all, or those up to one. One that has ended and is being read goes
 * on. KEYS: turns of the device. ARGV: prefix of turns, prefix of chunks, time to keep, the last turn's id
 * or ''. Answers the ids of those that were dropped.
 */
export const DROP = `${clock}
local upTo = '+inf'
if ARGV[4] ~= '' then upTo = redis.call('ZSCORE', KEYS[1], ARGV[4]) end
if not upTo then return {} end
local dropped = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', upTo)) do
  local key = ARGV[1] .. id
  local turn = redis.call('HMGET', key, 'epoch', 'dropped', 'end', 'read')
  if turn[1] and not turn[2] and (turn[3] == '' or tonumber(turn[4]) <= now) then
    redis.call('HSET', key, 'dropped', 1)
    redis.call('PEXPIRE', key, ARGV[3])
    redis.call('DEL', ARGV[2] .. id)
    dropped[#dropped + 1] = id
  end
end
return dropped
`;
