-- Say that something is over, as its mark goes; once, whoever else says so too.
-- KEYS  1: marks   2: journal
-- ARGV  1: mark   2: data for the journal (JSON)   3: kind of the journal's entry   4: now, in ms
-- Returns 1 when the mark stood, 0 when it did not
if redis.call("HDEL", KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call("XADD", KEYS[2], "*", "v", "1", "kind", ARGV[3], "call", "", "at", ARGV[4],
  "data", ARGV[2], "moves", "[]")
return 1
