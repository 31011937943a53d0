-- Chats that exist, one after the other; every request is made before the load begins. Arguments: tag, chats.

local requests = {}
local next_request = 0

function init(args)
   prepare(args[1])
   for number = 0, tonumber(args[2]) - 1 do
      requests[number] = request_for(number)
   end
end

function request()
   local made = requests[next_request]
   next_request = next_request + 1
   if requests[next_request] == nil then
      next_request = 0
   end
   return made
end
