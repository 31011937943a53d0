-- Chats that exist, at random among all of them. Too many to make the requests beforehand. Arguments: tag, chats.

local chats = 0

function init(args)
   prepare(args[1])
   chats = tonumber(args[2])
   math.randomseed(1)
end

function request()
   return request_for(math.random(0, chats - 1))
end
