-- A pair that nobody has asked for before, every time. Argument: a tag that no other load has used.

local number = -1

function init(args)
   prepare(args[1])
end

function request()
   number = number + 1
   return request_for(number)
end
