-- Random arrivals by wrk, and times of answers by status: wrk ... -s load.lua URL -- BODIES_FILE MEAN_PAUSE_MS WARM_S
--
-- Each connection pauses for a time drawn from an exponential distribution before it asks, so that many of them make a stream of requests that come
-- at random, whatever the server does. A mean of 0 asks without pause. The time of sending goes out as the request's id; a server that says the id
-- again gives the time of each answer with its status. Prints lines `at STATUS BUCKET COUNT`, 50 buckets for each factor of e, in microseconds.
local ffi = require("ffi")
ffi.cdef [[ typedef struct { long seconds, nanoseconds; } moment; int clock_gettime(int, moment *); ]]
local clock = ffi.new("moment")
local threads = {}

local function now()
  ffi.C.clock_gettime(1, clock)
  return tonumber(clock.seconds) * 1e6 + tonumber(clock.nanoseconds) / 1e3
end

function setup(thread) threads[#threads + 1] = thread end

function init(arguments)
  bodies, place, counts = {}, 0, {}
  for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
  mean, from = tonumber(arguments[2]), now() + 1e6 * tonumber(arguments[3])
  math.randomseed(7)
end

function delay()
  return mean > 0 and math.floor(math.random() - mean * math.log(1 - math.random())) or 0
end

function request()
  place = place % #bodies + 1
  local headers = {["content-type"] = "application/json", ["x-request-id"] = string.format("%.0f", now())}
  return wrk.format("POST", "/predict", headers, bodies[place])
end

function response(status, headers)
  local sent = tonumber(headers["x-request-id"])
  if sent and sent < from then return end
  local bucket = sent and math.floor(50 * math.log(now() - sent)) or -1
  local key = status .. ((headers["retry-after"] or headers["Retry-After"]) and "+retry " or " ") .. bucket
  counts[key] = (counts[key] or 0) + 1
end

function done()
  for _, thread in ipairs(threads) do
    for key, count in pairs(thread:get("counts")) do io.write("at ", key, " ", count, "\n") end
  end
end
