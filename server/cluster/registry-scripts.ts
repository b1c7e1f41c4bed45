import type { RedisConnection } from "./redis-contract.ts";

// The scripts of the turn registry. Each runs as a whole: nothing comes in between.
//
// The instances are a hash: of each one until when its lease lasts, and how many streams it has. What an
// instance listed counts as long as its lease lasts.
//
// What is known of a device is a hash:
//   last     the last place in its sequence that was taken. Places are Redis' own time in microseconds, or
//            one more than the last: they rise even if Redis has lost everything.
//   cut      an interrupt means every place below this one
//   session  until when the device's current session lasts, and its id
//   t:ID     a turn that runs: its place, its instance, its session
//   x:ID     until when a turn is refused that was interrupted before it came
// Times are Redis' own, in milliseconds.

const begin = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micros = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end
local function keep(key) redis.call('PEXPIRE', key, 7200000) end
local function place(key)
  local place = math.max(micros, tonumber(redis.call('HGET', key, 'last') or '0') + 1)
  redis.call('HSET', key, 'last', text(place))
  keep(key)
  return place
end
local function renew(key, instance, count, lease)
  redis.call('HSET', key, instance, text(now + lease) .. ' ' .. count)
  redis.call('PEXPIRE', key, 600000)
end
local function instances(key)
  local alive, all = {}, redis.call('HGETALL', key)
  for at = 1, #all, 2 do
    local expiry, count = string.match(all[at + 1], '^(%d+) (%d+)$')
    if tonumber(expiry) > now then alive[all[at]] = tonumber(count)
    else redis.call('HDEL', key, all[at]) end
  end
  return alive
end
`;

/**
 * A turn begins. KEYS: instances, device or ''. ARGV: instance, its streams with this one, lease, most streams,
 * most turns of a device, turn, session, milliseconds that a current session lasts, or -1 if the client
 * named the session.
 */
const BEGIN = `${begin}
local mine, others = tonumber(ARGV[2]), 0
local alive = instances(KEYS[1])
for instance, count in pairs(alive) do
  if instance ~= ARGV[1] then others = others + count end
end
local function refuse(why)
  renew(KEYS[1], ARGV[1], mine - 1, ARGV[3])
  return {why}
end
if others + mine > tonumber(ARGV[4]) then return refuse('full') end
renew(KEYS[1], ARGV[1], mine, ARGV[3])
if KEYS[2] == '' then return {'ok', 0, ARGV[7]} end
local running, isRefused, all = 0, false, redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local kind, id = string.match(all[at], '^([tx]):(.*)$')
  if kind == 't' then
    local owner = string.match(all[at + 1], '^%d+ (%S+) ')
    if owner ~= ARGV[1] and not alive[owner] then redis.call('HDEL', KEYS[2], all[at])
    elseif id ~= ARGV[6] then running = running + 1 end
  elseif kind == 'x' and (id == ARGV[6] or tonumber(all[at + 1]) <= now) then
    isRefused = isRefused or (id == ARGV[6] and tonumber(all[at + 1]) > now)
    redis.call('HDEL', KEYS[2], all[at])
  end
end
if isRefused then return refuse('interrupted') end
if running >= tonumber(ARGV[5]) then return refuse('device') end
local session, idle = ARGV[7], tonumber(ARGV[8])
if idle >= 0 then
  local expiry, current = string.match(redis.call('HGET', KEYS[2], 'session') or '', '^(%d+) (.*)$')
  if current and tonumber(expiry) > now then session = current end
  redis.call('HSET', KEYS[2], 'session', text(now + idle) .. ' ' .. session)
end
local place = place(KEYS[2])
redis.call('HSET', KEYS[2], 't:' .. ARGV[6], text(place) .. ' ' .. ARGV[1] .. ' ' .. session)
if idle > 7000000 then redis.call('PEXPIRE', KEYS[2], idle + 600000) end
return {'ok', place, session}
`;

/** A turn ended. KEYS and ARGV as for `BEGIN`, without the two limits. */
const END = `${begin}
renew(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if KEYS[2] == '' then return end
local owner = string.match(redis.call('HGET', KEYS[2], 't:' .. ARGV[4]) or '', '^%d+ (%S+) ')
if owner == ARGV[1] then redis.call('HDEL', KEYS[2], 't:' .. ARGV[4]) end
local idle = tonumber(ARGV[6])
if idle < 0 then return end
local current = string.match(redis.call('HGET', KEYS[2], 'session') or '', '^%d+ (.*)$')
if current == ARGV[5] then
  redis.call('HSET', KEYS[2], 'session', text(now + idle) .. ' ' .. current)
end
`;

/** Takes a place. KEYS: device. */
const NEXT = `${begin}
return place(KEYS[1])
`;

/**
 * Lists a turn again that runs, after Redis was gone. KEYS: device. ARGV: instance, turn, session, its
 * place or 0, its age in microseconds. One without a place gets that of the time at which it began; if
 * Redis' clock was set back meanwhile, the last one. Answers its place, and below which places all was
 * interrupted.
 */
const RELIST = `${begin}
local place = tonumber(ARGV[4])
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
if place == 0 then place = last > micros and last + 1 or micros - ARGV[5] end
redis.call('HSET', KEYS[1], 't:' .. ARGV[2], text(place) .. ' ' .. ARGV[1] .. ' ' .. ARGV[3],
  'last', text(math.max(last, place)))
keep(KEYS[1])
return {place, tonumber(redis.call('HGET', KEYS[1], 'cut') or '0')}
`;

/** The turns of a device. KEYS: instances, device. Answers turn, session, and so on. */
const LIST = `${begin}
local alive, found, all = instances(KEYS[1]), {}, redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local id = string.match(all[at], '^t:(.*)$')
  local place, owner, session = string.match(all[at + 1], '^(%d+) (%S+) (.*)$')
  if id and alive[owner] then found[#found + 1] = {id, session, tonumber(place)} end
end
table.sort(found, function(a, b) return a[3] < b[3] end)
local answer = {}
for at = 1, #found do
  answer[2 * at - 1], answer[2 * at] = found[at][1], found[at][2]
end
return answer
`;

/**
 * An interrupt. KEYS: instances, device. ARGV: instance, turn or '', channel, message. Every instance gets
 * the place below which it is meant, a space, and the message. Answers the place, how many got it, and how
 * many other instances there are.
 */
const INTERRUPT = `${begin}
local before = 0
if ARGV[2] == '' then before = place(KEYS[2])
else
  local named = string.match(redis.call('HGET', KEYS[2], 't:' .. ARGV[2]) or '', '^(%d+) ')
  if named then before = tonumber(named) + 1
  else
    redis.call('HSET', KEYS[2], 'x:' .. ARGV[2], text(now + 30000))
    keep(KEYS[2])
  end
end
if before > tonumber(redis.call('HGET', KEYS[2], 'cut') or '0') then
  redis.call('HSET', KEYS[2], 'cut', text(before))
end
local others = 0
for instance in pairs(instances(KEYS[1])) do
  if instance ~= ARGV[1] then others = others + 1 end
end
return {before, redis.call('PUBLISH', ARGV[3], text(before) .. ' ' .. ARGV[4]), others}
`;

/**
 * A sign of life. KEYS: instances. ARGV: instance, its streams, lease, its former names. Answers how many
 * others there are.
 */
const RENEW = `${begin}
for at = 4, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
renew(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
local others = -1
for _ in pairs(instances(KEYS[1])) do others = others + 1 end
return others
`;

/** The scripts, as calls over a connection. Each takes its keys and arguments in one list. */
export function createRegistryScripts(redis: RedisConnection) {
  return {
    begin: redis.script(BEGIN, 2),
    end: redis.script(END, 2),
    next: redis.script(NEXT, 1),
    relist: redis.script(RELIST, 1),
    list: redis.script(LIST, 2),
    interrupt: redis.script(INTERRUPT, 2),
    renew: redis.script(RENEW, 1),
  };
}
