-- A pair of two people who are new themselves, every time, named in the order in which they come. Argument: a tag
-- that no other load has used.

local head = nil
local tag = nil
local number = -1

local function body()
   number = number + 1
   return string.format('{"participants":["%09d-%s","%09d-%s"]}', 2 * number, tag, 2 * number + 1, tag)
end

function init(args)
   tag = args[1]
   prepare(tag)
   local first = body()
   local request = wrk.format("POST", PATH, nil, first)
   head = request:sub(1, #request - #first)
end

function request()
   return head .. body()
end
