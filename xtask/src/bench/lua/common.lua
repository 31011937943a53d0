-- What every load has in common: which pairs there are, what a request for one looks like, and what is counted.
-- Put before each of the other scripts. The pairs are those of `pairs.rs`, number by number.

local USERS = 100000
local SPACE = 67108859 -- the largest prime below 2^26; products with STEP stay below 2^53, where doubles are exact
local STEP = 40960001
local PATH = "/api/chats/create-or-get"

local bit = require("bit")
local names = {}
local head = nil

-- Has to be called once, from init: names end with the tag, so that loads with different tags share no pair.
local function prepare(tag)
   for user = 0, USERS - 1 do
      names[user] = bit.tohex(bit.tobit(user * 2654435761 % 4294967296)) .. "-" .. tag
   end
   local body = '{"participants":["' .. names[0] .. '","' .. names[1] .. '"]}'
   wrk.headers["Content-Type"] = "application/json"
   local request = wrk.format("POST", PATH, nil, body)
   head = request:sub(1, #request - #body) -- the same for every pair: all bodies are as long as this one
end

local function request_for(number)
   local place = number * STEP % SPACE
   local one = place % USERS
   local other = (one + 1 + (place - one) / USERS) % USERS
   return head .. '{"participants":["' .. names[one] .. '","' .. names[other] .. '"]}'
end

-- One line for the program that reads this. Times are in microseconds.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      "figures requests=%d duration_us=%d refused=%d broken=%d p50_us=%d p90_us=%d p99_us=%d max_us=%d\n",
      summary.requests, summary.duration, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max
   ))
end
